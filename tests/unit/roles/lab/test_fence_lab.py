# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's fence agent against a podman that we pretend: what it proves, and what it must never take for a proof."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import subprocess
import sys
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[4] / "roles/lab/files/fence_lab"
STORAGE = PROGRAM.with_name("storage.sh")
KNOWN = ["lab-pg-a1", "lab-pg-a2"]


def load_program() -> t.Any:
    loader = importlib.machinery.SourceFileLoader("fence_lab", str(PROGRAM))
    spec = importlib.util.spec_from_loader("fence_lab", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Podman:
    """Containers by name with their state. ``stubborn`` ones do not die; ``mute`` answers with errors only."""

    def __init__(self) -> None:
        self.states = {"lab-pg-a1": "running", "lab-pg-a2": "exited", "lab-other": "running"}
        self.stubborn = False
        self.mute = False
        self.hangs = False
        self.calls: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, command: list[str], **words: t.Any) -> subprocess.CompletedProcess[str]:
        self.calls.append(command)
        self.environments.append(words["env"])
        if self.hangs:
            raise subprocess.TimeoutExpired(command, words["timeout"])
        arguments = command[command.index("podman") + 1 :]
        return subprocess.CompletedProcess(command, *self.answer(arguments))

    def answer(self, arguments: list[str]) -> tuple[int, str, str]:
        name = arguments[-1]
        if self.mute:
            return 125, "", "Error: database is locked"
        if arguments[0] == "ps":
            return 0, "\n".join(self.states), ""
        if name not in self.states:
            return 125, "", f'Error: inspecting object: no such container "{name}"'
        if arguments[0] == "container":
            return 0, f"{self.states[name]}\n", ""
        if not self.stubborn:
            self.states[name] = "exited" if arguments[0] == "kill" else "running"
        return 0, name, ""

    def changes(self) -> list[list[str]]:
        return [call for call in self.calls if {"kill", "start"} & set(call)]


@pytest.fixture
def podman(monkeypatch: pytest.MonkeyPatch) -> Podman:
    pretended = Podman()
    monkeypatch.setattr(subprocess, "run", pretended)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return pretended


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "plugs").write_text("\n".join(KNOWN), encoding="utf-8")
    (tmp_path / "containers.conf").touch()
    return tmp_path


@pytest.fixture
def fence(lab: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., int]:
    """Runs the agent as a fence daemon does: options on standard input."""
    agent = load_program()

    def run(**options: str) -> int:
        lines = {"lab_directory": str(lab), "power_timeout": "0.2", **options}

        class Input:
            isatty = staticmethod(lambda: False)
            read = staticmethod(lambda: "".join(f"{name}={value}\n" for name, value in lines.items()))

        monkeypatch.setattr(sys, "stdin", Input)
        return int(agent.main([]))

    return run


Fence = t.Callable[..., int]


def test_status_says_on_or_off_by_its_exit_code(podman: Podman, fence: Fence) -> None:
    assert fence(action="status", plug="lab-pg-a1") == 0
    assert fence(action="status", plug="lab-pg-a2") == 2
    assert podman.changes() == []


def test_off_kills_and_looks_again(podman: Podman, fence: Fence) -> None:
    assert fence(action="off", plug="lab-pg-a1") == 0
    assert podman.states["lab-pg-a1"] == "exited"
    assert podman.calls[-1][1:3] == ["container", "inspect"]


def test_off_lets_storage_go_that_would_keep_processes_from_ending(podman: Podman, fence: Fence, lab: Path) -> None:
    """By the mark that storage.sh looks for: else it thaws at its own time, and nothing is proven until then."""
    [mark] = re.findall(r"mark=\$directory/(disks/\$lab-\$host\.\w+)", STORAGE.read_text(encoding="utf-8"))
    path = lab / mark.replace("$lab", "lab").replace("$host", "pg-a1")
    path.parent.mkdir()
    path.touch()
    assert fence(action="off", plug="lab-pg-a1") == 0
    assert not path.exists()
    assert f"disks/*{path.suffix}" in STORAGE.with_name("remove.sh").read_text(encoding="utf-8")


def test_off_of_what_is_off_changes_nothing(podman: Podman, fence: Fence) -> None:
    assert fence(action="off", plug="lab-pg-a2") == 0
    assert podman.changes() == []


def test_off_is_not_believed_before_it_is_seen(
    podman: Podman, fence: Fence, capsys: pytest.CaptureFixture[str]
) -> None:
    podman.stubborn = True
    assert fence(action="off", plug="lab-pg-a1") == 1
    assert "is not off after 0.2 s" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["paused", "stopping", "removing", "unknown"])
def test_what_is_not_clearly_off_is_on(podman: Podman, fence: Fence, state: str) -> None:
    podman.states["lab-pg-a1"] = state
    assert fence(action="status", plug="lab-pg-a1") == 0
    podman.stubborn = True
    assert fence(action="off", plug="lab-pg-a1") == 1


def test_a_container_of_the_lab_that_is_gone_is_off(podman: Podman, fence: Fence) -> None:
    del podman.states["lab-pg-a1"]
    assert fence(action="off", plug="lab-pg-a1") == 0
    assert fence(action="status", plug="lab-pg-a1") == 2


def test_a_misspelt_name_is_no_proof(podman: Podman, fence: Fence, capsys: pytest.CaptureFixture[str]) -> None:
    assert fence(action="off", plug="lab-pg-a11") == 1
    assert fence(action="status", plug="lab-pg-a11") == 1
    assert "lab-pg-a1, lab-pg-a2" in capsys.readouterr().err


def test_a_missing_container_is_no_proof_where_nobody_says_which_there_were(podman: Podman, fence: Fence) -> None:
    del podman.states["lab-pg-a1"]
    assert fence(action="off", plug="lab-pg-a1", lab_directory="") == 1


@pytest.mark.parametrize("fault", ["mute", "hangs"])
@pytest.mark.parametrize("action", ["off", "status", "monitor", "reboot"])
def test_a_podman_that_cannot_say_is_no_proof(podman: Podman, fence: Fence, action: str, fault: str) -> None:
    setattr(podman, fault, True)
    assert fence(action=action, plug="lab-pg-a1") == 1


def test_on_and_reboot(podman: Podman, fence: Fence) -> None:
    assert fence(action="on", plug="lab-pg-a2") == 0
    assert podman.states["lab-pg-a2"] == "running"
    assert fence(action="reboot", plug="lab-pg-a1") == 0
    assert [call[1] for call in podman.changes()] == ["start", "kill", "start"]


def test_on_of_what_is_gone_fails_at_once(podman: Podman, fence: Fence, capsys: pytest.CaptureFixture[str]) -> None:
    del podman.states["lab-pg-a1"]
    assert fence(action="on", plug="lab-pg-a1", power_timeout="20") == 1
    assert "does not start" in capsys.readouterr().err


@pytest.mark.parametrize(("action", "words"), [("cut", "no such action"), ("off", "plug is missing")])
def test_bad_requests_touch_nothing(
    podman: Podman, fence: Fence, action: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fence(action=action) == 1
    assert words in capsys.readouterr().err
    assert podman.calls == []


def test_list_names_what_the_lab_has(podman: Podman, fence: Fence, capsys: pytest.CaptureFixture[str]) -> None:
    assert fence(action="list") == 0
    assert capsys.readouterr().out.splitlines() == ["lab-pg-a1,", "lab-pg-a2,"]


def test_metadata_is_xml_with_every_action(podman: Podman, fence: Fence, capsys: pytest.CaptureFixture[str]) -> None:
    assert fence(action="metadata") == 0
    tree = ET.fromstring(capsys.readouterr().out)
    assert {action.get("name") for action in tree.iter("action")} >= {
        "on",
        "off",
        "reboot",
        "status",
        "monitor",
        "list",
    }
    assert {parameter.get("name") for parameter in tree.iter("parameter")} >= {"plug", "action", "lab_directory"}


def test_arguments_and_clusterlabs_old_names(podman: Podman, fence: Fence, lab: Path) -> None:
    assert fence(option="status", port="lab-pg-a2") == 2
    assert load_program().main(["-o", "status", "-n", "lab-pg-a2"]) == 2


def test_options_of_other_agents_are_let_pass(podman: Podman, fence: Fence) -> None:
    assert fence(action="status", plug="lab-pg-a1", ipaddr="192.0.2.1", verbose="1", nodename="pg-a1") == 0


def test_podman_gets_the_labs_settings(
    podman: Podman, fence: Fence, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence(action="status", plug="lab-pg-a1")
    assert podman.environments[-1]["CONTAINERS_CONF"] == str(lab / "containers.conf")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    fence(action="status", plug="lab-pg-a1")
    assert podman.calls[-1][:2] == ["sudo", "-n"]

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of runbooks: made on hosts of a lab alone, and ended whatever becomes of whoever made them.

A script of its own with another place and another mark is run, since this machine is no host of a lab.
"""

from __future__ import annotations

import os
import pty
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[4]
SCRIPT = TOP / "roles" / "lab" / "files" / "fault.sh"
MARK, PLACE = "/etc/lab-host/ssh_host_ed25519_key", "/var/lib/lab-fault"


def run(script: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """As Ansible does it by SSH, with a terminal where something might wait for a key."""
    terminal, its_other_end = pty.openpty()
    argv = ["bash", str(script), *words]
    try:
        return subprocess.run(
            argv,
            stdin=its_other_end,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        os.close(its_other_end)
        os.close(terminal)


@pytest.fixture
def host(tmp_path: Path) -> t.Callable[..., subprocess.CompletedProcess[str]]:
    """The script as on a host of a lab; systemd's part is noted."""
    (tmp_path / "mark").touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemd-run", "systemctl"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\n')
        (programs / name).chmod(0o755)
    script = tmp_path / "fault.sh"
    script.write_text(SCRIPT.read_text().replace(MARK, str(tmp_path / "mark")).replace(PLACE, str(tmp_path / "faults")))
    path = f"{programs}:{os.environ['PATH']}"
    return lambda *words, **more: run(script, *words, PATH=path, **more)


Host = t.Callable[..., subprocess.CompletedProcess[str]]


def test_a_host_that_is_of_no_lab_is_not_harmed(tmp_path: Path) -> None:
    script = tmp_path / "fault.sh"
    script.write_text(SCRIPT.read_text().replace(MARK, str(tmp_path / "mark")))
    done = run(script, "make", "one", "60", MADE=f"touch {tmp_path}/harmed", UNDONE="true")
    assert done.returncode == 3
    assert "is no host of a lab" in done.stderr
    assert "Nothing was changed" in done.stderr
    assert not (tmp_path / "harmed").exists()


def test_its_end_is_asked_for_before_it_is_made(host: Host, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    assert (
        host("make", "one", "60", MADE=f"grep -q on-active=60 {asked} && touch {tmp_path}/harmed", UNDONE="").returncode
        == 0
    )
    assert (tmp_path / "harmed").exists()


@pytest.mark.parametrize("verb", [("undo", "one"), ("undo_all",)])
def test_it_is_undone_once(host: Host, tmp_path: Path, verb: tuple[str, ...]) -> None:
    host("make", "one", "60", MADE="true", UNDONE=f"echo undone >> {tmp_path}/said")
    for _turn in range(2):
        assert host(*verb).returncode == 0
    assert (tmp_path / "said").read_text() == "undone\n"


def test_a_fault_that_could_not_be_made_can_be_undone(host: Host, tmp_path: Path) -> None:
    assert host("make", "one", "60", MADE="false", UNDONE=f"touch {tmp_path}/undone").returncode == 1
    assert host("undo_all").returncode == 0
    assert (tmp_path / "undone").exists()


def test_nothing_in_it_waits_for_a_key(host: Host, tmp_path: Path) -> None:
    """psql pages even one row under a terminal of no height, which CI's has."""
    assert host("make", "one", "60", MADE="test ! -t 0 && ! read -r -t 5", UNDONE="test ! -t 0").returncode == 0
    assert host("undo", "one").returncode == 0


def test_it_says_what_it_has_ended(host: Host) -> None:
    assert host("undo_all").stdout == ""
    host("make", "one", "60", MADE="true", UNDONE="true")
    assert host("undo_all").stdout == "one has ended\n"
    assert host("undo_all").stdout == ""


@pytest.mark.parametrize(
    "path", sorted((TOP / "playbooks" / "runbooks").glob("*/inject.yml")), ids=lambda path: path.parent.name
)
def test_every_fault_asks_whether_it_is_a_lab(path: Path) -> None:
    """By the script above, which each of these goes through, or beforehand on every host."""
    plays = yaml.safe_load(path.read_text(encoding="utf-8"))
    asks_all = plays[0].get("ansible.builtin.import_playbook") == "../lab_only.yml"
    assert asks_all or "tasks/fault.yml" in path.read_text(encoding="utf-8")
    if not asks_all:
        said = path.read_text(encoding="utf-8")
        assert "shell:" not in said, "a fault that goes past the script"
        assert "command:" not in said.replace("--command", ""), "a fault that goes past the script"

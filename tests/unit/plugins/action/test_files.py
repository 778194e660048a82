# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action files: one look, and only what differs is written; programs bring the domain library along."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.fraiseql.resilience.plugins.action.files import Wanted, differing, look
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.packed import pack

MAIN = b"""
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict
print(Verdict.UNKNOWN.value)
"""
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
OWNER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


def test_the_same_sources_make_the_same_bytes() -> None:
    assert pack(MAIN) == pack(MAIN)
    assert pack(MAIN) != pack(MAIN + b"\n")


# One look ------------------------------------------------------------------------------------------------------------

FILE = Wanted("/etc/a b", "root", "root", "0644", b"text")
FOLDER = Wanted("/var/lib/x", "postgres", "postgres", "0750", None)
TOLD = "\n".join(
    [
        "644\troot\troot\tregular file\t/etc/a b",
        "750\tpostgres\tpostgres\tdirectory\t/var/lib/x",
        f"{hashlib.sha256(b'text').hexdigest()}  /etc/a b",
    ]
)


def test_what_is_in_place_does_not_differ() -> None:
    assert differing([FILE, FOLDER], TOLD) == []


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        ("644\troot", "640\troot", FILE),
        ("644\troot\troot", "644\troot\tpostgres", FILE),
        ("regular file\t/etc/a b", "symbolic link\t/etc/a b", FILE),
        (hashlib.sha256(b"text").hexdigest(), hashlib.sha256(b"other").hexdigest(), FILE),
        ("directory", "regular file", FOLDER),
        ("750\tpostgres", "755\tpostgres", FOLDER),
    ],
)
def test_what_is_not_as_it_should_be_differs(before: str, after: str, differs: Wanted) -> None:
    assert before in TOLD
    assert differing([FILE, FOLDER], TOLD.replace(before, after)) == [differs]


def test_what_cannot_be_told_differs() -> None:
    assert differing([FILE, FOLDER], "") == [FILE, FOLDER]


@pytest.mark.parametrize("name", ["plain", "with a space", "it's", "$(touch x)", "-n", "täglich@1.timer"])
def test_a_shell_sees_each_name_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"text")
    path.chmod(0o640)
    wanted = [
        Wanted(str(path), OWNER, GROUP, "0640", b"text"),
        Wanted(str(tmp_path), OWNER, GROUP, f"{tmp_path.stat().st_mode & 0o7777:04o}", None),
    ]
    told = subprocess.run(["sh", "-c", look(wanted)], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert differing(wanted, told.stdout) == []
    assert list(tmp_path.iterdir()) == [path]


# Whole plays ---------------------------------------------------------------------------------------------------------


class Play:
    """One task on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "files").mkdir()
        (folder / "files/say.py").write_bytes(MAIN)
        (folder / "files/same").write_bytes(b"as it is: {{ not_rendered }}\n")
        (folder / "templates").mkdir()
        (folder / "templates/made.j2").write_text("{{ ansible_managed | comment }}\nat = {{ at }}\npath = \\d+\n\n")
        own = {"owner": OWNER, "group": GROUP}
        self.files: list[dict[str, t.Any]] = [
            {"dest": f"{folder}/there", "directory": True, "mode": "0750", **own},
            {"dest": f"{folder}/there/made", "template": "made.j2", "mode": "0600", **own},
            {"dest": f"{folder}/there/same", "copy": "same", **own},
            {"dest": f"{folder}/there/say", "program": "say.py", "mode": "0755", **own},
            {"dest": f"{folder}/there/text", "content": '{"a": "{{ at }}"}\n', **own},
        ]

    def __call__(self, *options: str, at: int = 1) -> str:
        task = {"fraiseql.resilience.files": {"files": self.files}, "register": "made"}
        told = {"ansible.builtin.debug": {"msg": "files {{ made.changed_files | map('basename') | join(' ') }} end"}}
        play = {"hosts": "localhost", "gather_facts": False, "vars": {"at": at}, "tasks": [task, told]}
        path = self.folder / "play.yml"
        path.write_text(yaml.safe_dump([play]))
        argv = [str(ANSIBLE), "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(
            [*argv, str(path), *options], env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(tmp_path)


def test_a_plan_names_every_file_and_makes_none(play: Play) -> None:
    said = play("--check", "--diff")
    assert "changed=1" in said, said
    assert "files there made same say text end" in said
    assert not (play.folder / "there").exists()


def test_only_what_differs_is_written(play: Play) -> None:
    said = play()
    assert "files there made same say text end" in said, said
    made = play.folder / "there/made"
    assert made.read_text().endswith("at = 1\npath = \\d+\n\n")
    assert (play.folder / "there/same").read_text() == "as it is: {{ not_rendered }}\n"
    assert "changed=0" in play()
    made.chmod(0o644)
    (play.folder / "there/same").write_text("edited")
    assert "files made same end" in play()
    said = play("--diff", at=2)
    assert "files made text end" in said
    assert "-at = 1" in said
    assert "+at = 2" in said


def test_a_program_runs_by_itself(play: Play) -> None:
    play()
    outside: dict[str, t.Any] = {"env": {"PATH": "/usr/bin:/bin"}, "cwd": "/"}
    said = subprocess.run([f"{play.folder}/there/say"], capture_output=True, text=True, check=False, **outside)
    assert said.stdout == "unknown\n", said.stderr


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"copy": "missing"}, "missing"),
        ({"template": "missing.j2"}, "missing.j2"),
        ({"copy": "same", "content": "both"}, "mutually exclusive"),
        ({}, "one of the following is required"),
    ],
)
def test_an_entry_that_makes_no_sense_changes_nothing(play: Play, entry: dict[str, str], message: str) -> None:
    play.files.append({"dest": f"{play.folder}/other", **entry})
    said = play()
    assert message in said, said
    assert "failed=1" in said
    assert not (play.folder / "there").exists()


def test_a_file_that_cannot_be_written_is_named(play: Play) -> None:
    play.files.append({"dest": f"{play.folder}/nowhere/deep/file", "content": "x", "owner": OWNER, "group": GROUP})
    said = play()
    assert "failed=1" in said
    assert f"{play.folder}/nowhere/deep" in said

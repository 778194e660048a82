# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook backup, run for real on this host with a program that answers as the repository host's does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
#: Answers one line of a file after the other, and writes down what it was asked.
PROGRAM = """#!/bin/sh
cd {folder}
echo "$*" >> asked
head -n 1 answers | {{ read -r code answer; printf '%s\\n' "$answer" > answer; echo "$code" > code; }}
sed -i 1d answers
if [ "$(cat code)" = 0 ]; then cat answer; else cat answer >&2; fi
exit "$(cat code)"
"""
ASKED = {"last": "A", "would_take": "full", "asked": "token"}
LINE = {"label": "B", "verdict": "passed", "checks": [{"name": "x", "verdict": "passed", "reason": "all is well"}]}


def seen(percent: float | None, line: t.Any = None) -> dict[str, t.Any]:
    left = None if percent is None else 30
    return {
        "running": line is None, "percent": percent, "elapsed_seconds": 12, "left_seconds": left, "line": line,
    }  # fmt: skip


class Played(t.NamedTuple):
    rc: int
    said: str
    asked: list[str]


@pytest.fixture
def play(tmp_path: Path) -> t.Callable[..., Played]:
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    groups: dict[str, t.Any] = {"lab": {"hosts": {"repo": local, "pg": {}, "observer": {}}}}
    groups |= {"repositories": {"hosts": {"repo": {}}}, "members": {"hosts": {"pg": {}}}}
    groups |= {"observers": {"hosts": {"observer": {}}}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"children": groups}}))
    program = tmp_path / "backup"
    program.write_text(PROGRAM.format(folder=tmp_path))
    program.chmod(0o755)

    def run(answers: list[tuple[int, t.Any]], *options: str, **given: t.Any) -> Played:
        (tmp_path / "answers").write_text("".join(f"{code} {json.dumps(answer)}\n" for code, answer in answers))
        extra = {"resilience_cluster": "lab", "backup_program": str(program), **given}
        done = subprocess.run(
            [str(ANSIBLE), "-i", "inventory.yml", "fraiseql.resilience.backup", "-e", json.dumps(extra), *options],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        asked = tmp_path / "asked"
        words = asked.read_text().splitlines() if asked.exists() else []
        return Played(done.returncode, " ".join(f"{done.stdout} {done.stderr}".split()), words)

    return run


def test_it_shows_how_far_it_is_and_ends_with_the_line(play: t.Callable[..., Played]) -> None:
    answers = [(0, ASKED), (0, seen(None)), (0, seen(41.7)), (0, seen(None, LINE))]
    played = play(answers, resilience_backup_type="full", resilience_backup_repo=2)
    assert played.rc == 0, played.said
    assert "it has not begun to copy" in played.said and "42 %, 12 s, about 30 s left" in played.said
    assert '"label": "B"' in played.said
    told = "progress 2-full --token token --wait 60 --beyond"
    assert played.asked == ["ask 2-full", f"{told} 0", f"{told} 0", f"{told} 41.7"]


def test_a_backup_that_did_not_pass_fails_it_with_the_reasons(play: t.Callable[..., Played]) -> None:
    bad = {"verdict": "failed", "checks": [*LINE["checks"], {"name": "y", "verdict": "failed", "reason": "broken"}]}
    played = play([(0, ASKED), (0, seen(None, {"label": None, **bad}))])
    assert played.rc != 0
    assert "The backup failed: broken." in played.said and "all is well;" not in played.said


def test_a_run_that_left_no_line_fails_it(play: t.Callable[..., Played]) -> None:
    played = play([(0, ASKED), (0, {**seen(None), "running": False})])
    assert played.rc != 0 and "The run left no line in the catalogue" in played.said


def test_a_second_start_says_that_one_runs(play: t.Callable[..., Played]) -> None:
    played = play([(1, {"msg": "a backup is running already: resilience-backup@1-full.service, 42 % done."})])
    assert played.rc != 0
    assert "a backup is running already: resilience-backup@1-full.service, 42 % done." in played.said
    assert played.asked == ["ask 1-incr"]


def test_check_mode_begins_nothing_and_says_what_it_would(play: t.Callable[..., Played]) -> None:
    played = play([(0, {**ASKED, "asked": None})], "--check")
    assert played.rc == 0, played.said
    assert played.asked == ["ask 1-incr --check"]
    assert "Repository 1: a backup of type full, after A" in played.said


@pytest.mark.parametrize("given", [{"resilience_backup_type": "all"}, {"resilience_backup_repo": "x"}])
def test_no_such_backup_is_refused_before_anybody_is_asked(
    play: t.Callable[..., Played], given: dict[str, t.Any]
) -> None:
    played = play([], **given)
    assert played.rc != 0 and "resilience_backup_type is full, diff or incr" in played.said and played.asked == []

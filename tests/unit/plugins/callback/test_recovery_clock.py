# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.callback import recovery_clock

ALONE = {"ANSIBLE_STDOUT_CALLBACK": recovery_clock.NAME}
OPENED = {
    "name": "opened",
    "fraiseql.resilience.evidence": {"state": "opened", "operation": "failover", "cluster": "lab"},
}
PASSED = {"name": "no_row_lost", "verdict": "passed", "reason": "12 of 12"}
SEALED = {"fraiseql.resilience.evidence": {"state": "sealed", "report": {"checks": [PASSED]}}}
FAILING = {"name": "Fence", "ansible.builtin.command": "sh -c 'echo no answer >&2; exit 3'"}


def mark(word: str, detail: str) -> dict[str, t.Any]:
    return {"name": "a mark", "fraiseql.resilience.rto_timer": {"mark": word, "detail": detail}}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3.42, "T+  3.42 s  fenced            pg-a1: off"),
        (-0.02, "T-  0.02 s  fenced            pg-a1: off"),
        (1234.5, "T+1234.50 s  fenced            pg-a1: off"),
        (None, "T+     ? s  fenced            pg-a1: off"),
    ],
)
def test_a_phase_is_a_line(seconds: float | None, said: str) -> None:
    assert recovery_clock.line(seconds, "fenced", "pg-a1: off") == said


def test_a_phase_without_detail_has_no_blanks_at_its_end() -> None:
    assert recovery_clock.line(0, "fault", None) == "T+  0.00 s  fault"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"msg": "it broke"}, "it broke"),
        ({"msg": "rc 1", "stderr": "no\n such\nfile"}, "rc 1: no such file"),
        ({"censored": "hidden"}, "hidden"),
        ({}, "no reason given"),
        ({"msg": "all", "results": [{"failed": True, "msg": "a"}, {"msg": "b"}, {"failed": True, "msg": "a"}]}, "a"),
    ],
)
def test_a_failure_is_told_in_short(answer: dict[str, t.Any], said: str) -> None:
    assert recovery_clock.told(answer) == said


def test_beside_the_usual_display(control: t.Any) -> None:
    answer = control.play([OPENED, mark("fault", "host killed"), SEALED])
    assert answer.rc == 0, answer.stdout
    assert "TASK [a mark]" in answer.stdout
    assert "T+  0.00 s  fault             host killed\n" in answer.stdout
    assert f"passed: {answer.folder}" in answer.stdout
    assert "\x1b" not in answer.stdout


def test_as_the_only_display_phases_are_all_there_is(control: t.Any) -> None:
    quick = {"name": "something quick", "ansible.builtin.command": "true", "changed_when": False}
    spoken = {"name": "spoken", "ansible.builtin.debug": {"msg": ["one", "two"]}}
    never = {"RESILIENCE_CLOCK_SLOW_SECONDS": "1000"}  # on a busy machine, the quick one may be slow
    answer = control.play([OPENED, quick, mark("fault", "host killed"), spoken, SEALED], **ALONE, **never)
    assert answer.rc == 0, answer.stdout
    lines = [line for line in answer.stdout.splitlines() if line]
    assert lines[0] == "observer"
    assert lines[1].startswith("failover on lab, evidence in ")
    assert lines[2:] == [
        "T+  0.00 s  fault             host killed",
        "one",
        "two",
        "   passed  no_row_lost: 12 of 12",
        f"passed: {answer.folder}",
    ]


def test_as_the_only_display_a_failure_is_told_in_full(control: t.Any) -> None:
    answer = control.play([OPENED, FAILING], **ALONE)
    assert answer.rc != 0
    assert "failed: observer: Fence\nnon-zero return code: no answer\n" in answer.stdout
    assert f"evidence, not sealed: {answer.folder}" in answer.stdout
    assert "stopped: observer" in answer.stdout


def test_each_round_of_a_loop_is_told(control: t.Any) -> None:
    looped = {**mark("{{ item }}", "seen"), "loop": ["fault", "detected"]}
    answer = control.play([OPENED, looped, SEALED], **ALONE)
    assert [line.split()[3] for line in answer.stdout.splitlines() if line.startswith("T+")] == ["fault", "detected"]


def test_a_play_without_hosts_is_not_passed_over_in_silence(control: t.Any) -> None:
    assert "no host of the inventory matches" in control.play([FAILING], hosts="nobody", **ALONE).stdout


def test_slow_tasks_are_named_with_their_time(control: t.Any) -> None:
    slow = {"name": "something slow", "ansible.builtin.command": "sleep 0.3", "changed_when": False}
    answer = control.play([slow], RESILIENCE_CLOCK_SLOW_SECONDS="0.3", **ALONE)
    [line] = [line for line in answer.stdout.splitlines() if "something slow" in line]
    assert line.split()[1:] == ["s", "something", "slow"]


def test_verbosely_every_task_is_named(control: t.Any) -> None:
    quick = {"name": "something quick", "ansible.builtin.command": "true", "changed_when": False}
    assert "something quick" in control.play([quick], "-v", **ALONE).stdout


def test_an_unreachable_host_is_in_the_evidence(control: t.Any) -> None:
    gone = {
        "name": "Look at a host that is gone",
        "ansible.builtin.command": "true",
        "vars": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_ssh_retries": 0},
    }
    answer = control.play([OPENED, gone])
    assert answer.rc != 0
    assert answer.events[-1]["kind"] == "failure"
    assert answer.events[-1]["reason"].startswith("unreachable: ")


def test_without_evidence_it_only_shows(control: t.Any) -> None:
    answer = control.play([FAILING])
    assert answer.rc == 2
    assert answer.folders == []
    assert "could not be written" not in answer.stdout

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
import typing as t

import pytest


def timer(**arguments: t.Any) -> dict[str, t.Any]:
    return {"name": "timer", "fraiseql.resilience.rto_timer": arguments, "register": "timer"}


OPENED = {
    "name": "opened",
    "fraiseql.resilience.evidence": {"state": "opened", "operation": "failover", "cluster": "lab"},
}


def kept(content: str) -> dict[str, t.Any]:
    """What the task before answered, kept as a file."""
    return {"fraiseql.resilience.evidence": {"state": "added", "name": "answer.json", "content": content}}


def test_marks_are_stamped_in_order_and_named_alike(control: t.Any) -> None:
    answer = control.play([OPENED, timer(mark="t0"), timer(mark="fenced", detail="pg-a1: off"), timer(mark="rerouted")])
    assert answer.rc == 0, answer.stdout
    marks = [event for event in answer.events if event["kind"] == "mark"]
    assert [event["mark"] for event in marks] == ["fault", "fenced", "rerouted"]
    assert marks[1]["detail"] == "pg-a1: off"
    stamps = [event["monotonic_ns"] for event in marks]
    assert stamps == sorted(stamps)


def test_a_mark_of_another_host_keeps_its_stamp(control: t.Any) -> None:
    at = {"clock": "observer", "monotonic_ns": 42, "error_ns": 7}
    answer = control.play([OPENED, timer(mark="detected", at=at)])
    assert {key: answer.events[-1][key] for key in at} == at


def test_the_clock_of_this_host_is_not_ahead_of_itself(control: t.Any) -> None:
    begin = time.monotonic_ns()
    answer = control.play(
        [OPENED, timer(sync_with="observer", samples=3), timer(mark="fenced"), kept("{{ timer.marks }}")]
    )
    took = time.monotonic_ns() - begin
    assert answer.rc == 0, answer.stdout
    [clock] = [event for event in answer.events if event["kind"] == "clock"]
    assert abs(clock["offset_ns"]) <= clock["offset_error_ns"]
    assert 0 < 2 * clock["offset_error_ns"] < took, "half of a question and its answer"
    assert '"monotonic_ns":' in (answer.folder / "answer.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"mark": "t12"}, "there is no phase t12"),
        ({"sync_with": "control"}, "the control node's clock is what others are compared with"),
        ({"detail": "nothing"}, "one of the following is required: mark, sync_with"),
        ({"mark": "a", "at": {"clock": "observer"}}, "missing required arguments: monotonic_ns"),
    ],
)
def test_what_makes_no_sense_is_refused(control: t.Any, arguments: dict[str, t.Any], said: str) -> None:
    answer = control.play([OPENED, timer(**arguments)])
    assert answer.rc != 0
    assert said in " ".join(answer.stdout.split())


def test_a_mark_needs_evidence(control: t.Any) -> None:
    answer = control.play([timer(mark="fault")])
    assert answer.rc != 0
    assert "no evidence is open in this run" in answer.stdout


def test_a_clock_that_cannot_be_read_is_unknown(control: t.Any) -> None:
    answer = control.play(
        [OPENED, {**timer(sync_with="observer", samples=1), "vars": {"ansible_shell_executable": "/bin/false"}}]
    )
    assert answer.rc != 0
    assert "the clock of observer could not be read" in answer.stdout

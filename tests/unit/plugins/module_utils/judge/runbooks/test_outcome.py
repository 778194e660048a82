# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step's run has told is its outcome, and what it could not see is unknown."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.outcome import LETTERS, Ran, judged

Told = dict[str, t.Any]
ENDED: Told = {"kind": "ended", "hosts": ["pg-a1"], "stats": {}}


def failed(said: str = "it is wet", **more: t.Any) -> Told:
    about = {"ignored": False, "asks": False, "error": ""}
    return {"kind": "failed", "host": "pg-a1", "task": "Look", "said": said, **about, **more}


def unreachable(*, ignored: bool = False) -> Told:
    return {"kind": "unreachable", "host": "pg-b1", "task": "Look", "said": "no route", "ignored": ignored}


def answer(**result: t.Any) -> Told:
    return {"kind": "answer", "host": "obs", "task": "Look", "result": result}


def ran(*told: Told, rc: int = 0, output: t.Sequence[str] = (), **more: bool) -> Ran:
    how = {"late": False, "one_module": False, "looks": False, **more}
    return Ran(rc=rc, seconds=30, told=told, output=output, **how)


@pytest.mark.parametrize(
    ("of", "outcome", "said"),
    [
        (ran(ENDED), "success", ()),
        (ran(failed(), ENDED, rc=2), "failure", ("pg-a1: it is wet",)),
        (ran(answer(verdict="failed"), failed(), ENDED, rc=2), "failure", ("pg-a1: it is wet",)),
        (ran(answer(verdict="unknown"), failed(), ENDED, rc=2), "unknown", ("pg-a1: it is wet",)),
        # What was unknown at first, and is known now.
        (ran(answer(verdict="unknown"), answer(verdict="failed"), failed(), ENDED, rc=2), "failure",
         ("pg-a1: it is wet",)),
        (ran(unreachable(), ENDED, rc=4), "unknown", ("pg-b1: no route",)),
        # What was judged in the end, without what could not be seen.
        (ran(failed("dark", error="CommandFailed"), answer(verdict="failed"), failed(), ENDED, rc=2, looks=True),
         "failure", ("pg-a1: dark", "pg-a1: it is wet")),
        # A host that a playbook can do without.
        (ran(unreachable(ignored=True), answer(verdict="failed"), failed(), ENDED, rc=2), "failure",
         ("pg-a1: it is wet",)),
        (ran(late=True, rc=-15), "unknown", ("it had not ended after 30 s, and was ended",)),
        (ran(rc=-9), "unknown", ("it was ended by signal 9",)),
        (ran({**ENDED, "hosts": []}), "unknown", ("nothing was done: no host of the inventory matches",)),
        (ran(), "unknown", ("nothing was done: no host of the inventory matches",)),
        (ran(rc=1, output=["", "ERROR! there is no such playbook"]), "failure", ("ERROR! there is no such playbook",)),
        # A playbook that has ended well has seen to its verdicts.
        (ran(answer(verdict="unknown"), ENDED), "success", ()),
    ],
)  # fmt: skip
def test_an_outcome_follows_from_what_was_told(of: Ran, outcome: str, said: tuple[str, ...]) -> None:
    found = judged(of)
    assert (found.outcome, found.said, found.asks) == (outcome, said, False)


@pytest.mark.parametrize(
    ("results", "outcome", "said"),
    [
        ([{"verdict": "passed"}], "success", ()),
        ([{"version": 17}], "success", ()),
        ([{"verdict": "failed", "reasons": ["wet"]}], "failure", ("obs: wet",)),
        ([{"verdict": "unknown", "checks": [{"name": "a", "verdict": "unknown", "reason": "dark"},
                                            {"name": "b", "verdict": "passed", "reason": "dry"}]}],
         "unknown", ("obs: dark",)),
        ([{"verdict": "unknown"}, {"verdict": "failed", "hazards": [{"code": "x", "detail": "pg-a1 is gone"}]}],
         "failure", ("obs: pg-a1 is gone",)),
    ],
)  # fmt: skip
def test_the_verdict_of_a_module_alone_is_its_outcome(results: list[Told], outcome: str, said: tuple[str, ...]) -> None:
    found = judged(ran(*(answer(**one) for one in results), ENDED, one_module=True))
    assert (found.outcome, found.said) == (outcome, said)


@pytest.mark.parametrize(
    ("error", "of_a_look", "of_an_action"),
    [
        ("UnknownError", "unknown", "unknown"),
        ("CommandTimedOut", "unknown", "unknown"),
        ("CommandFailed", "unknown", "failure"),
        ("InputError", "unknown", "failure"),
        ("RefusedError", "failure", "failure"),
        ("", "failure", "failure"),
    ],
)
def test_a_look_that_saw_nothing_has_not_failed(error: str, of_a_look: str, of_an_action: str) -> None:
    for looks, outcome in ((True, of_a_look), (False, of_an_action)):
        assert judged(ran(failed(error=error), ENDED, rc=2, looks=looks)).outcome == outcome
        assert judged(ran(failed(error=error, ignored=True), failed(), ENDED, rc=2, looks=looks)).outcome == "failure"


def test_a_step_that_was_not_let_is_not_done() -> None:
    """What is to be done then is told whole."""
    long = "x" * 3 * LETTERS
    found = judged(ran(failed(long, asks=True), ENDED, rc=2))
    assert found.asks and found.said == (f"pg-a1: {long}",)
    assert len(judged(ran(failed(long), ENDED, rc=2)).said[0]) == LETTERS


def test_the_evidence_that_it_left_is_named() -> None:
    left = answer(joined=False, path="/srv/evidence/20261126T000000Z-failover-orders")
    joined = answer(joined=True, path="/srv/evidence/20261126T000000Z-failover-orders")
    assert judged(ran(left, joined, ENDED)).evidence == ("20261126T000000Z-failover-orders",)

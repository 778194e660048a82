# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a step, by what the run of Ansible that did it has told. Pure.

begun        the run has begun
answer       a module of the collection answered; result
shown        what a playbook says to people; said
failed       a task failed; said, ignored, asks, and the error's class where it is one of this collection
unreachable  a host was not to be reached; said, ignored
ended        the run has ended; hosts, those that it was about
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: So much of what a run said stands in the record.
LINES, LETTERS = 8, 500
#: Errors after which nobody knows; and those after which a look has not seen anything.
_NOBODY_KNOWS = frozenset({"UnknownError", "CommandTimedOut"})
_SAW_NOTHING = _NOBODY_KNOWS | {"CommandError", "CommandFailed", "InputError"}

Told = Mapping[str, t.Any]


@dataclass(frozen=True)
class Ran:
    """A run of Ansible that is over.

    ``rc``: its exit status, below zero if a signal ended it; ``late``: whether it was ended since its time was over;
    ``output``: the last lines that it printed; ``one_module``: whether it ran a module alone, whose verdict counts;
    ``looks``: whether it was to look and nothing else.
    """

    rc: int
    late: bool
    seconds: int
    told: Sequence[Told]
    output: Sequence[str]
    one_module: bool
    looks: bool

    def hides(self, one: Told) -> bool:
        """Is it why nobody can say how things are?"""
        if one["kind"] not in ("failed", "unreachable") or one["ignored"]:
            return False
        return one["kind"] == "unreachable" or one["error"] in (_SAW_NOTHING if self.looks else _NOBODY_KNOWS)


@dataclass(frozen=True)
class Outcome:
    """``asks``: nothing was done, as an approval or a confirmation is missing. ``evidence``: folders that it left."""

    outcome: str
    said: tuple[str, ...]
    asks: bool
    evidence: tuple[str, ...]


def judged(ran: Ran) -> Outcome:
    outcome, why = _outcome(ran)
    asks = outcome == "failure" and any(one["kind"] == "failed" and one["asks"] for one in ran.told)
    said = [*why, *_said(ran)]
    if outcome != "success" and not said:
        said = [line for line in ran.output if line.strip()][-3:]
    # How to approve is told whole.
    lines = tuple(dict.fromkeys(line if asks else line[:LETTERS] for line in said))[:LINES]
    return Outcome(outcome, lines, asks, tuple(_evidence(ran.told)))


def _outcome(ran: Ran) -> tuple[str, list[str]]:
    """And why, where nobody else says it."""
    if ran.late:
        return "unknown", [f"it had not ended after {ran.seconds} s, and was ended"]
    if ran.rc < 0:
        return "unknown", [f"it was ended by signal {-ran.rc}"]
    if ran.rc == 0:
        return _of_good_end(ran)
    return _of_bad_end(ran), []


def _of_bad_end(ran: Ran) -> str:
    """What was told last of all counts: a playbook may go on without something, and judge in the end."""
    found = "failure"
    for one in ran.told:
        if ran.hides(one):
            found = "unknown"
        for verdict in _verdicts([one]):
            found = "unknown" if verdict == "unknown" else "failure"
    return found


def _of_good_end(ran: Ran) -> tuple[str, list[str]]:
    if not any(one["kind"] == "ended" and one["hosts"] for one in ran.told):
        return "unknown", ["nothing was done: no host of the inventory matches"]
    verdicts = set(_verdicts(ran.told)) if ran.one_module else set()
    return ("failure" if "failed" in verdicts else "unknown" if "unknown" in verdicts else "success"), []


def _verdicts(told: Sequence[Told]) -> Iterator[str]:
    for one in told:
        if one["kind"] == "answer" and one["result"].get("verdict") in ("passed", "failed", "unknown"):
            yield one["result"]["verdict"]


def _said(ran: Ran) -> Iterator[str]:
    for one in ran.told:
        if one["kind"] in ("failed", "unreachable") and not one["ignored"]:
            yield f"{one['host']}: {one['said']}"
        elif one["kind"] == "answer" and ran.one_module:
            yield from (f"{one['host']}: {reason}" for reason in _reasons(one["result"]))


def _reasons(result: Mapping[str, t.Any]) -> Iterator[str]:
    """Why a module's verdict is not passed, in the words of those that have one."""
    if result.get("verdict") in ("failed", "unknown"):
        yield from map(str, result.get("reasons", ()))
        for name, text in (("hazards", "detail"), ("checks", "reason")):
            for one in result.get(name) or ():
                if isinstance(one, Mapping) and one.get("verdict") != "passed" and one.get(text):
                    yield str(one[text])


def _evidence(told: Sequence[Told]) -> Iterator[str]:
    for one in told:
        if one["kind"] == "answer" and one["result"].get("joined") is False and one["result"].get("path"):
            yield str(one["result"]["path"]).rpartition("/")[2]

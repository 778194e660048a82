# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way through a runbook: which step comes next, and what a person is asked. Pure.

Where a walk stands follows from what was done so far, in order, and from nothing else: a run that was stopped goes on
from its record.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, Step

#: How a runbook within another one ended, as an outcome of the step that led into it.
OUTCOME_OF: t.Final = {"passed": "success", "failed": "failure", "unknown": "unknown"}
#: What a person may say of something done by hand.
SPOKEN: t.Final = {"done": "success", "failed": "failure", "unknown": "unknown"}
#: Steps after which the cluster need not be what it was.
CHANGING = frozenset({"action", "manual"})

#: What a record holds of a walk: each event's kind.
RUN, BEGUN, ENDED, WAITS, RECHECKED, BACK, ARRIVED = (
    "runbook_run", "step_begun", "step_ended", "step_waits", "step_rechecked", "runbook_back", "runbook_ended",
)  # fmt: skip

Books = Mapping[str, Runbook]


@dataclass(frozen=True)
class Done:
    """A step that came to an outcome.

    ``where``: its id, after those of the steps that led into its runbook: ``restored/look``. ``to``: of a decision, the
    step that was chosen. ``by``: the person who said so, if one did.
    """

    where: str
    outcome: str
    said: tuple[str, ...] = ()
    to: str = ""
    by: str = ""


@dataclass(frozen=True)
class Standing:
    """Where a walk stands: before ``step``, or at its end with ``verdict``, for this ``reason``.

    ``book``: the runbook that the step is of. ``known``: of each step of that one, what a test may ask.
    """

    where: str
    book: Runbook
    step: Step
    known: Mapping[str, Mapping[str, t.Any]]
    verdict: str = ""
    reason: str = ""


@dataclass
class _Frame:
    """A runbook on the way, and how far it is."""

    book: Runbook
    step: Step
    visits: Counter[str] = field(default_factory=Counter)
    known: dict[str, dict[str, t.Any]] = field(default_factory=dict)


class _Walk:
    def __init__(self, books: Books, root: str) -> None:
        self._books = books
        self.frames: list[_Frame] = []
        self.ended: tuple[str, str] | None = None
        self._enter(books[root])

    @property
    def where(self) -> str:
        return "/".join(frame.step.id for frame in self.frames)

    def take(self, done: Done) -> None:
        """:raises InputError: it was done at another place than this."""
        if self.ended or done.where != self.where:
            raise InputError(
                "the record is not one of this runbook", given=f"{done.where} after {self.where}",
                next_step="begin anew",
            )  # fmt: skip
        self._go_on(done.outcome, done.said, done.to)

    def _go_on(self, outcome: str, said: Sequence[str], to: str = "") -> None:
        frame = self.frames[-1]
        frame.known[frame.step.id] = {"outcome": outcome, "said": list(said)}
        self._come_to(frame.book.by_id[to or frame.step.next[outcome]])

    def _enter(self, book: Runbook) -> None:
        unknown = {step.id: {"outcome": "", "said": []} for step in book.steps}
        self.frames.append(_Frame(book, book.steps[0], known=unknown))
        self._come_to(book.steps[0])

    def _come_to(self, step: Step) -> None:
        frame = self.frames[-1]
        frame.step = step
        frame.visits[step.id] += 1
        if step.attempts is not None and frame.visits[step.id] > step.attempts:
            self._leave("unknown", f"{step.id} was come to {step.attempts} times, and may be no more")
        elif step.type == "end":
            self._leave(step.verdict, step.title)
        elif step.type == "runbook":
            self._enter(self._books[step.runbook])

    def _leave(self, verdict: str, reason: str) -> None:
        if len(self.frames) == 1:
            self.ended = (verdict, reason)
        else:
            self.frames.pop()
            self._go_on(OUTCOME_OF[verdict], (reason,))


def standing(books: Books, root: str, done: Sequence[Done]) -> Standing:
    """
    :param books: the runbook ``root``, and each one that it leads to. None of them has a fault of its graph.
    """
    walk = _Walk(books, root)
    for one in done:
        walk.take(one)
    frame = walk.frames[-1]
    return Standing(walk.where, frame.book, frame.step, frame.known, *(walk.ended or ()))


# what is done again ---------------------------------------------------------------------------------------------------


def to_look_again(books: Books, root: str, done: Sequence[Done]) -> int:
    """From which of them on a walk that goes on later looks again: what came after the last change.

    Before that, things were as they are no longer, by what the walk itself did.
    """
    for number in reversed(range(len(done))):
        if step_of(books, root, done[number].where).type in CHANGING:
            return number + 1
    return 0


def step_of(books: Books, root: str, where: str) -> Step:
    *through, last = where.split("/")
    book = books[root]
    for one in through:
        book = books[book.by_id[one].runbook]
    return book.by_id[last]


# what a person says ---------------------------------------------------------------------------------------------------


def asks(step: Step) -> bool:
    """Does a person have to say what came of it, whatever a program finds out?"""
    return step.type == "manual" or (step.type in ("check", "action") and step.task is None)


def possible(step: Step) -> dict[str, str]:
    """What may be answered, and what each answer means."""
    if step.type != "decision":
        return {word: f"{outcome}: {step.next[outcome]} comes next" for word, outcome in SPOKEN.items()}
    branches = {str(number): f"{one.when}: {one.next} comes next" for number, one in enumerate(step.branches, 1)}
    return {**branches, "unknown": f"nobody can say: {step.next['unknown']} comes next"}


def answered(where: str, step: Step, answer: str, by: str) -> Done:
    """What a person's answer makes of a step.

    :raises InputError: it is none of the possible ones.
    """
    if step.type != "decision" and answer in SPOKEN:
        return Done(where, SPOKEN[answer], by=by)
    if step.type == "decision":
        to = _chosen(step, answer)
        if to:
            return Done(where, "unknown" if answer == "unknown" else "success", to=to, by=by)
    raise InputError(
        f"this is no answer to {step.title}",
        given=f"{where}: {answer}",
        possible="; ".join(f"{word}, {means}" for word, means in possible(step).items()),
        next_step="give one of them in resilience_runbook_answers",
    )


def _chosen(step: Step, answer: str) -> str:
    if answer == "unknown":
        return step.next["unknown"]
    by_number = {str(number): one.next for number, one in enumerate(step.branches, 1)}
    return by_number.get(answer, answer if answer in by_number.values() else "")


def check_answers(books: Books, root: str, answers: Mapping[str, str]) -> None:
    """
    :raises InputError: one is for a step of which nobody is asked, or is none of those that are possible.
    """
    asked = list(_asked(books, books[root], ""))
    for given, answer in answers.items():
        where = given.partition(":")[0]
        if where not in asked:
            raise InputError(
                "nobody is asked that", given=f"resilience_runbook_answers has {given}", possible=", ".join(asked)
            )
        answered(where, step_of(books, root, where), answer, "")


def _asked(books: Books, book: Runbook, above: str) -> t.Iterator[str]:
    for step in book.steps:
        if step.type == "decision" or asks(step):
            yield above + step.id
        if step.runbook:
            yield from _asked(books, books[step.runbook], f"{above}{step.id}/")


# the record -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    """What a record tells: what was done and still counts, whether the step after it had begun, and how often a person
    had answered each step, also where that counts no more."""

    done: tuple[Done, ...] = ()
    begun: bool = False
    answers: Mapping[str, int] = field(default_factory=dict)

    def key(self, where: str) -> str:
        """By which the next answer to a step is given."""
        return key(where, self.answers.get(where, 0))


def key(where: str, answers: int) -> str:
    """By which an answer is given, once there were so many: a second one to the same step is another one."""
    return f"{where}:{answers + 1}" if answers else where


def history(events: Sequence[Mapping[str, t.Any]]) -> History:
    done: list[Done] = []
    begun = False
    answers: Counter[str] = Counter()
    for event in events:
        kind = event.get("kind")
        if kind == BEGUN:
            begun = True
        elif kind in (ENDED, WAITS, RECHECKED):
            begun = False
        if kind == ENDED:
            done.append(_done(event))
            answers[event["step"]] += 1 if event["by"] else 0
        elif kind == RECHECKED:
            place = event["place"]
            done[place:] = [_done(event), *([] if event["outcome"] != event["was"] else done[place + 1 :])]
        elif kind == BACK:
            done[event["place"] :] = []
    return History(tuple(done), begun, answers)


def as_fields(done: Done) -> dict[str, t.Any]:
    """As :func:`history` reads it again."""
    return {"step": done.where, "outcome": done.outcome, "said": list(done.said), "to": done.to, "by": done.by}


def _done(event: Mapping[str, t.Any]) -> Done:
    return Done(event["step"], event["outcome"], tuple(event["said"]), event["to"], event["by"])

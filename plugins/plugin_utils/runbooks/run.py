# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk through a runbook: for real, or as a dry run that only looks. Control node only."""

from __future__ import annotations

import contextlib
import json
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jinja2

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Branch, Runbook
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.walk import Done, Standing
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import expressions
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.record import Record
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.steps import Prepared, Result

ANSWERS = "resilience_runbook_answers"
COLOURS = {"success": "green", "passed": "green", "failure": "red", "failed": "red", "unknown": "yellow"}

#: A step, what came of it in words, and a colour.
Show = Callable[[str, str, str | None], None]


class Doing(t.Protocol):
    """How a step is done; :class:`steps.Steps` is one way."""

    def prepared(self, now: Standing) -> Prepared: ...

    def run(self, prepared: Prepared) -> Result: ...


@dataclass(frozen=True)
class Plan:
    """What is walked through: ``root``, and each runbook that it leads to. ``answers`` are those of ``person``."""

    books: Mapping[str, Runbook]
    root: str
    answers: Mapping[str, str]
    person: str

    def standing(self, done: t.Sequence[Done]) -> Standing:
        return walk.standing(self.books, self.root, done)


@dataclass(frozen=True)
class Asked:
    """What a person is needed for. ``key``: by which an answer is given, empty where none helps; ``possible``: each
    answer, and what it means."""

    where: str
    title: str
    wants: str
    key: str = ""
    possible: Mapping[str, str] | None = None

    def __str__(self) -> str:
        asked = f"{self.where}: {self.title.rstrip('.?')}{'?' if self.title.endswith('?') else '.'} {self.wants}"
        if not self.key:
            return asked
        answers = "; ".join(f"{word} – {means}" for word, means in (self.possible or {}).items())
        example = json.dumps({ANSWERS: {self.key: next(iter(self.possible or {}), "")}}, ensure_ascii=False)
        return f"{asked} Possible: {answers}. The same command with -e '{example}'"


class Run:
    """A walk that changes what the runbook says."""

    def __init__(self, plan: Plan, record: Record, doing: Doing, show: Show) -> None:
        self._plan, self._record, self._doing, self._show = plan, record, doing, show
        self._answers = dict(plan.answers)

    def on(self) -> Standing | Asked:
        """As far as it goes: to its end, or to where a person is needed."""
        self._look_again()
        while True:
            now = self._plan.standing(self._record.history().done)
            if now.verdict:
                self._record.append(walk.ARRIVED, step=now.where, verdict=now.verdict, reason=now.reason)
                self._show(now.where, f"end, {now.verdict}: {now.reason}", COLOURS[now.verdict])
                return now
            asked = self._step(now)
            if asked is not None:
                self._record.append(walk.WAITS, step=asked.where, wants=asked.wants, key=asked.key)
                self._show(asked.where, "a person is needed", "yellow")
                return asked

    def _step(self, now: Standing) -> Asked | None:
        key = self._record.history().key(now.where)
        if now.step.type == "decision" or walk.asks(now.step):
            done = _decided(now, key, self._answers, self._plan.person)
            if done is None:
                return question(now, key)
            self._ended(done, 0.0, ())
            return None
        try:
            prepared = self._doing.prepared(now)
        except InputError as error:
            return Asked(now.where, now.step.title, error.as_result()["msg"])
        self._show(now.where, f"begins: {now.step.title}", None)
        self._record.append(walk.BEGUN, step=now.where, title=now.step.title)
        result = self._doing.run(prepared)
        self._record.keep(now.where, result.told)
        if result.found.asks:
            wants = f"An approval or a confirmation is missing, and nothing was done: {'; '.join(result.found.said)}"
            return Asked(now.where, now.step.title, wants)
        self._ended(Done(now.where, result.found.outcome, result.found.said), result.seconds, result.found.evidence)
        return None

    def _ended(self, done: Done, seconds: float, evidence: t.Sequence[str]) -> None:
        took = {"took_seconds": round(seconds, 3), "evidence": list(evidence)}
        self._record.append(walk.ENDED, **walk.as_fields(done), **took)
        came = _came(done, self._plan.standing(self._record.history().done))
        self._record.mark(done.where, came)
        self._show(done.where, came, COLOURS[done.outcome])

    def _look_again(self) -> None:
        """What was found since the last change may be so no longer; then the walk goes on from there.

        An action that had begun is done again first: what was found before it, it may have changed itself.
        """
        history = self._record.history()
        now = self._plan.standing(history.done)
        if history.begun:
            self._show(now.where, "had begun and not ended, and is begun again", "yellow")
            if now.step.type in walk.CHANGING:
                return
        first = walk.to_look_again(self._plan.books, self._plan.root, history.done)
        for place in range(first, len(history.done)):
            if not self._same(place):
                # Whoever gave them did not know of this.
                self._answers = {}
                return

    def _same(self, place: int) -> bool:
        """Whether a step has the outcome that it had; if not, what came after it counts no more."""
        done = self._record.history().done
        before, now = done[place], self._plan.standing(done[:place])
        if now.step.type == "decision" and not before.by:
            after = _by_test(now)
            if after is not None and after.next == before.to:
                return True
            self._record.append(walk.BACK, place=place, step=before.where)
            self._show(before.where, "what was found since says otherwise: decided again", "yellow")
            return False
        return now.step.type != "check" or walk.asks(now.step) or self._checked_again(place, before, now)

    def _checked_again(self, place: int, before: Done, now: Standing) -> bool:
        self._show(now.where, f"is checked again: {now.step.title}", None)
        result = self._doing.run(self._doing.prepared(now))
        self._record.keep(now.where, result.told)
        after = Done(now.where, result.found.outcome, result.found.said)
        took = {"took_seconds": round(result.seconds, 3), "evidence": list(result.found.evidence)}
        self._record.append(walk.RECHECKED, place=place, was=before.outcome, **walk.as_fields(after), **took)
        same = after.outcome == before.outcome
        told = "as before" if same else f"and was {before.outcome}: it goes on from here"
        self._record.mark(now.where, f"{after.outcome}, {told}")
        self._show(now.where, f"{after.outcome}, {told}", COLOURS[after.outcome] if same else "yellow")
        return same


class DryRun:
    """What a run would do now. Steps that only look are done, and nothing else is.

    Once something would have been changed, a check shows how it is now, and the way goes on as if all went well.

    ``way``: each step; ``stops``: what a person would be needed for; ``supposed``: whether something would have been
    changed.
    """

    def __init__(self, plan: Plan, doing: Doing, show: Show) -> None:
        self._plan, self._doing, self._show = plan, doing, show
        self._done: list[Done] = []
        self.way: list[dict[str, t.Any]] = []
        self.stops: list[Asked] = []
        self.supposed = False

    def on(self) -> Standing:
        """As far as it can be told: to an end, or to a step of which nobody knows what comes after it."""
        while True:
            now = self._plan.standing(self._done)
            if now.verdict:
                self._show(now.where, f"end, {now.verdict}: {now.reason}", COLOURS[now.verdict])
                return now
            done = self._step(now)
            if done is None:
                self._show(now.where, "a person would be needed, and nobody knows what comes then", "yellow")
                return now
            self._done.append(done)

    def _step(self, now: Standing) -> Done | None:
        if now.step.type == "decision" or walk.asks(now.step):
            return self._by_person(now)
        if now.step.type == "check" or (now.step.task is not None and now.step.task.check):
            return self._looked(now)
        self.supposed = True
        with contextlib.suppress(InputError):
            self._doing.prepared(now)
            return self._noted(now, Done(now.where, "success"), "would be done")
        return self._noted(now, Done(now.where, "success"), "would stop: one of its parameters is missing")

    def _by_person(self, now: Standing) -> Done | None:
        answers = sum(one.where == now.where and bool(one.by) for one in self._done)
        key = walk.key(now.where, answers)
        done = _decided(now, key, self._plan.answers, self._plan.person)
        self.supposed = self.supposed or now.step.type in walk.CHANGING
        if done is not None:
            return self._noted(now, done, "by an answer that was given" if done.by else "by its test")
        self.stops.append(question(now, key))
        if now.step.type == "decision":
            return None
        return self._noted(now, Done(now.where, "success"), "a person would be needed")

    def _looked(self, now: Standing) -> Done | None:
        try:
            prepared = self._doing.prepared(now)
        except InputError as error:
            self.stops.append(Asked(now.where, now.step.title, error.as_result()["msg"]))
            return Done(now.where, "success") if self.supposed else None
        found = self._doing.run(prepared).found
        if not self.supposed:
            return self._noted(now, Done(now.where, found.outcome, found.said), found.outcome)
        return self._noted(now, Done(now.where, "success", found.said), f"{found.outcome} as it is now")

    def _noted(self, now: Standing, done: Done, words: str) -> Done:
        after = self._plan.standing([*self._done, done])
        line = {"step": now.where, "type": now.step.type, "title": now.step.title, "words": words}
        self.way.append({**line, "said": list(done.said), "supposed": self.supposed, "next": after.where})
        self._show(now.where, f"{words}{_why(done)} → {after.where}", None if self.supposed else COLOURS[done.outcome])
        return done


def question(now: Standing, key: str) -> Asked:
    """What a person is asked at a step that no program decides or does."""
    hands = [f"On {one.host}: {one.run.strip()}." for one in now.step.commands]
    wants = " ".join(filter(None, [now.step.text.strip(), *hands])) or "Somebody has to say."
    return Asked(now.where, now.step.title, wants, key, walk.possible(now.step))


def _decided(now: Standing, key: str, answers: Mapping[str, str], person: str) -> Done | None:
    """By an answer of a person, which goes first, or by a test."""
    if key in answers:
        return walk.answered(now.where, now.step, answers[key], person)
    branch = _by_test(now)
    return None if branch is None else Done(now.where, "success", (branch.when,), to=branch.next)


def _by_test(now: Standing) -> Branch | None:
    """The first branch whose test holds. One that nobody can answer does not."""
    for branch in now.step.branches:
        with contextlib.suppress(jinja2.TemplateError):
            if branch.test and expressions.holds(branch.test, now.known):
                return branch
    return None


def _came(done: Done, after: Standing) -> str:
    who = f", says {done.by}" if done.by else ""
    return f"{done.outcome}{who}{_why(done)} → {after.where}"


def _why(done: Done) -> str:
    return f": {'; '.join(done.said)}" if done.said else ""

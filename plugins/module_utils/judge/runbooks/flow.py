# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the way through a runbook: its graph, and how long it takes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import graph
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import (
    COUNTED,
    OUTCOMES,
    Runbook,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.known import Context, Fault, Rule


def seconds_of(book: Runbook, phases: Sequence[str]) -> float:
    """The most that all steps of these phases take, on whatever way through the runbook."""
    steps = book.by_id

    def weight(step: str) -> float:
        return float(steps[step].seconds) if steps[step].phase in phases else 0.0

    return graph.longest(edges(book), book.steps[0].id, weight, _visits(book))


def edges(book: Runbook) -> dict[str, list[str]]:
    """Its steps as :mod:`graph` reads them."""
    return {step.id: [to for _label, to in step.ways_on] for step in book.steps}


def _visits(book: Runbook) -> dict[str, int]:
    return {step.id: step.attempts for step in book.steps if step.attempts is not None}


def _repeated_steps(book: Runbook, _context: Context) -> Iterator[Fault]:
    for name, count in Counter(step.id for step in book.steps).items():
        if count > 1:
            yield f"step {name}", f"{count} steps have this id", "one of each name"


def _missing_edges(book: Runbook, _context: Context) -> Iterator[Fault]:
    for step in book.steps:
        wanted = () if step.type == "end" else ("unknown",) if step.type == "decision" else OUTCOMES
        for outcome in wanted:
            if outcome not in step.next:
                yield f"step {step.id}", f"nothing comes after {outcome}", f"next.{outcome}, a step"
        for outcome in set(step.next) - set(wanted):
            yield f"step {step.id}", f"a {step.type} has no outcome {outcome}", f"only {', '.join(wanted)}"


def _dangling_edges(book: Runbook, _context: Context) -> Iterator[Fault]:
    steps = book.by_id
    for step in book.steps:
        for label, to in step.ways_on:
            if to not in steps:
                yield f"step {step.id}", f"{label} leads to {to}, which is no step", ", ".join(steps)


def _unreachable(book: Runbook, _context: Context) -> Iterator[Fault]:
    if not book.steps:
        yield "steps", "there is none", "one or more, of which the last ones are ends"
        return
    seen = graph.reached(edges(book), book.steps[0].id)
    for step in book.steps:
        if step.id not in seen:
            yield f"step {step.id}", f"no way leads to it from {book.steps[0].id}", "a step that leads to it, or none"


def _endless(book: Runbook, _context: Context) -> Iterator[Fault]:
    """A way on that stops where nothing comes next is a missing edge; here it goes round and never comes to an end."""
    steps = edges(book)
    stops = [step for step, following in steps.items() if not set(following) & set(steps)]
    ending = graph.leading_to(steps, stops)
    for step in steps:
        if step not in ending:
            yield f"step {step}", "no end can be reached from it", "a way on to a step of type end"


def _unbounded(book: Runbook, _context: Context) -> Iterator[Fault]:
    for ring in graph.unbounded(edges(book), _visits(book)):
        yield (
            f"step {ring[0]}",
            f"{' and '.join(ring)} can be gone round for ever",
            "attempts at one of these steps: how often it may be come to",
        )


def _single_branch(book: Runbook, _context: Context) -> Iterator[Fault]:
    for step in book.steps:
        if step.type == "decision" and len({one.when for one in step.branches}) < 2:
            yield (
                f"step {step.id}",
                f"it has {len(step.branches)} branch",
                "two branches or more, each with an answer of its own",
            )


# time -----------------------------------------------------------------------------------------------------------------


def _bounded(book: Runbook) -> bool:
    """Is there a longest way? What keeps it from being one has a rule of its own."""
    return bool(book.steps) and not graph.unbounded(edges(book), _visits(book))


def _phase_over_budget(book: Runbook, _context: Context) -> Iterator[Fault]:
    for name, phase in book.phases.items() if _bounded(book) else ():
        taken = seconds_of(book, [name])
        if taken > phase.seconds:
            yield (
                f"phases.{name}",
                f"its steps may take {taken:.0f} s of {phase.seconds}",
                "shorter steps, or a longer phase",
            )


def _over_objective(book: Runbook, _context: Context) -> Iterator[Fault]:
    taken = seconds_of(book, COUNTED) if _bounded(book) else 0
    if taken > book.rto_seconds:
        yield (
            "objectives.rto_seconds",
            f"steps until the service is back may take {taken:.0f} s of {book.rto_seconds}",
            "shorter steps, or an objective that can be kept",
        )


def _overdue(book: Runbook, context: Context) -> Iterator[Fault]:
    try:
        reviewed = date.fromisoformat(book.reviewed)
    except ValueError:
        yield "reviewed", f"{book.reviewed} is no date", "a day of the calendar, as 2026-11-26"
        return
    due = reviewed + timedelta(days=book.review_days)
    if due < context.today:
        yield "reviewed", f"a review was due on {due}", "somebody reads it, tries it, and writes the date"
    if reviewed > context.today:
        yield "reviewed", f"{reviewed} has not come yet", "the day of the last review"


RULES: dict[str, Rule] = {
    "step_not_unique": _repeated_steps,
    "edge_missing": _missing_edges,
    "edge_dangling": _dangling_edges,
    "step_unreachable": _unreachable,
    "end_unreachable": _endless,
    "cycle_unbounded": _unbounded,
    "decision_without_choice": _single_branch,
    "phase_over_budget": _phase_over_budget,
    "path_over_objective": _over_objective,
    "review_overdue": _overdue,
}

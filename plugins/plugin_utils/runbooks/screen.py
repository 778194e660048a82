# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runbooks as lines for a terminal. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, Step, tag
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import page

WIDTH = 110


def listed(books: Sequence[Runbook], broken: Mapping[str, str], today: date) -> list[str]:
    """A line for each, by severity, and why others are none."""
    width = max([len(book.id) for book in books] or [0])
    lines = [
        f"{book.severity}  {book.id:<{width}}  {book.title}{overdue(book, today)}"
        for book in sorted(books, key=lambda book: (book.severity, book.id))
    ]
    return [*lines, *(f"no runbook: {folder}: {why}" for folder, why in broken.items())]


def overdue(book: Runbook, today: date) -> str:
    try:
        due = date.fromisoformat(book.reviewed) + timedelta(days=book.review_days)
    except ValueError:
        return f"; reviewed on {book.reviewed}, which is no date"
    return f"; its review was due on {due}" if due < today else ""


def shown(book: Runbook, own: Mapping[str, str]) -> list[str]:
    """What it is about, and each step with both ways to do it."""
    lines = [
        f"{book.id}: {book.title}",
        *_wrapped(f"{book.severity}: {book.severity_rule}", ""),
        f"back within {book.rto_seconds} s, transactions of {book.rpo_seconds} s lost at most",
        f"owner: {book.owner}; reviewed {book.reviewed}",
        f"alerts: {', '.join(book.alerts) or 'none'}",
        *(f"${name}: {text}" for name, text in book.parameters.items()),
    ]
    for number, step in enumerate(book.steps, 1):
        lines += ["", *_step(book, own, number, step)]
    return lines


def _step(book: Runbook, own: Mapping[str, str], number: int, step: Step) -> Iterator[str]:
    if step.type == "end":
        yield f"{number}. {step.id}: {step.title} (end, {step.verdict})"
        return
    yield f"{number}. {step.id}: {step.title} ({step.type}, {step.phase}, {step.seconds} s)"
    yield from _wrapped(step.text, "   ")
    if step.destructive != "none":
        back = f"way back: {step.rollback}" if step.rollback else f"no way back: {step.irreversible}"
        yield from _wrapped(f"{step.destructive}, approvals: {step.approvals}; {back}", "   ")
    if step.task:
        yield "   with Ansible:"
        yield from _indented(page.typed(step.task, own))
    if step.commands:
        yield f"   by hand: {tag(book.id, step.id)}"
        for command in step.commands:
            yield f"     # on {command.host}"
            yield from _indented(command.run.strip())
    elif step.no_command:
        yield from _wrapped(f"not by hand: {step.no_command}", "   ")
    for branch in step.branches:
        yield f"   {branch.when} → {branch.next}" + (f"   (where {branch.test})" if branch.test else "")
    yield from (f"   {outcome} → {to}" for outcome, to in step.next.items())


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _indented(text: str) -> list[str]:
    return [f"     {line}" for line in text.splitlines()]

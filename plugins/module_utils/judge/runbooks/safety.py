# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of what a step does: what only looks, what is approved, undone, kept, verified and told. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.approval import Subject, bound
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import commands, graph
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import PHASES, Runbook, Step
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.flow import edges
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.known import (
    Beside,
    Context,
    Fault,
    Rule,
)

#: Playbooks that change nothing, whoever runs them.
READING_PLAYBOOKS = frozenset({
    "availability_report", "backup_report", "drill_summary", "keys", "repository_audit", "status",
})  # fmt: skip
#: What only looks, of a runbook's own folder.
READING_OWN = "verify"
#: People that have to approve before something destructive is done.
_APPROVALS: t.Final = {"reversible": 1, "data_loss": 2}


def _changing_checks(book: Runbook, context: Context) -> Iterator[Fault]:
    for step in book.steps:
        if step.type == "check":
            for reason in [*_task_changes(step, context), *_command_changes(step)]:
                yield f"step {step.id}", f"a check that changes something: {reason}", "what only looks, or an action"


def _task_changes(step: Step, context: Context) -> Iterator[str]:
    task = step.task
    if task is None or task.check:
        return
    if task.playbook in context.playbooks and not _only_looks(task.playbook, context.beside):
        yield f"playbook {task.playbook} without check"
    module = context.known.modules.get(task.module or "")
    if module is not None and not module.reads:
        yield f"module {task.module} without check"


def _only_looks(playbook: str | None, beside: Beside) -> bool:
    return playbook in READING_PLAYBOOKS or (playbook == READING_OWN and playbook in beside.playbooks)


def _command_changes(step: Step) -> Iterator[str]:
    for one in step.commands:
        if commands.readable(one.run):
            yield from commands.changes(one.run)


def _unreadable(book: Runbook, _context: Context) -> Iterator[Fault]:
    for step in book.steps:
        for one in step.commands:
            if not commands.readable(one.run):
                yield f"step {step.id}", f"no shell can read {one.run!r}", "each quotation closed"


def _no_way(book: Runbook, _context: Context) -> Iterator[Fault]:
    for step in book.steps:
        if step.type not in ("check", "action"):
            continue
        if step.task is None:
            yield f"step {step.id}", "nothing says by which playbook or module", "a task"
        if not step.commands and not step.no_command:
            yield f"step {step.id}", "nothing says how it is done by hand", "a command, or no_command with the reason"


def _understated(book: Runbook, context: Context) -> Iterator[Fault]:
    for step in book.steps:
        task = step.task
        approved = context.known.approved | context.beside.approved
        asks = task is not None and not task.check and task.playbook in approved
        if asks and step.type == "action" and step.destructive == "none":
            yield (
                f"step {step.id}",
                "its playbook asks for an approval, and it is destructive: none",
                "reversible or data_loss",
            )


def _unapproved(book: Runbook, _context: Context) -> Iterator[Fault]:
    for step in book.steps:
        if step.destructive != "none" and step.approvals == 0:
            wanted = _APPROVALS[step.destructive]
            yield f"step {step.id}", f"it is {step.destructive} and nobody approves", f"approvals: {wanted} or more"


def _too_few_approvals(book: Runbook, _context: Context) -> Iterator[Fault]:
    """Also by what the playbook itself will ask for, with the same variables."""
    for step in book.steps:
        if step.approvals > 0:
            wanted = max(_APPROVALS.get(step.destructive, 0), _asked_for(step))
            if step.approvals < wanted:
                yield (
                    f"step {step.id}",
                    f"{step.approvals} approve of it",
                    f"approvals: {wanted}, as acknowledged rows may be lost",
                )


def _asked_for(step: Step) -> int:
    if step.task is None or step.task.playbook is None or step.task.check:
        return 0
    return Subject(step.task.playbook, "", bound(step.task.variables)).needed


def _no_way_back(book: Runbook, _context: Context) -> Iterator[Fault]:
    for step in book.steps:
        if step.destructive != "none" and not step.rollback and not step.irreversible:
            yield f"step {step.id}", "nothing says how it is undone", "rollback, or irreversible with the reason"
        if step.rollback and step.irreversible:
            yield f"step {step.id}", "it can be undone, and cannot", "rollback or irreversible"


def _no_evidence(book: Runbook, _context: Context) -> Iterator[Fault]:
    keeping = [step.id for step in book.steps if step.evidence and step.destructive == "none"]
    bare = graph.reached(edges(book), book.steps[0].id, without=keeping) if book.steps else set()
    for step in book.steps:
        if step.destructive != "none" and step.id in bare:
            yield (
                f"step {step.id}",
                "a way leads to it on which nothing is kept",
                "a step with evidence before it on each way",
            )


def _unverified(book: Runbook, _context: Context) -> Iterator[Fault]:
    steps = book.by_id
    for name in book.verification:
        if name not in steps or steps[name].type != "check":
            yield "verification", f"{name} is no check", "checks of this runbook"
    good = {step.id for step in book.steps if step.verdict == "passed"}
    for step in book.steps:
        for label, to in step.ways_on:
            if to in good and (label != "success" or step.id not in book.verification):
                yield (
                    f"step {step.id}",
                    f"{label} leads to the good end {to}",
                    "success of a check of verification, and nothing else",
                )


def _silent_phase(book: Runbook, _context: Context) -> Iterator[Fault]:
    used = {step.phase for step in book.steps if step.phase}
    for name in PHASES:
        if name in used and name not in book.phases:
            yield f"phases.{name}", "steps are in it, and it is not described", "seconds and communication"
        elif name in book.phases and not book.phases[name].communication:
            yield f"phases.{name}", "nobody is told anything", "communication: who is told what, and when next"


RULES: dict[str, Rule] = {
    "check_not_read_only": _changing_checks,
    "command_unreadable": _unreadable,
    "way_missing": _no_way,
    "danger_understated": _understated,
    "approval_missing": _unapproved,
    "approvals_too_few": _too_few_approvals,
    "rollback_missing": _no_way_back,
    "evidence_missing": _no_evidence,
    "verification_missing": _unverified,
    "communication_missing": _silent_phase,
}

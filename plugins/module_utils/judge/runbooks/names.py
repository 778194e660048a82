# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of what a runbook names: is all of it there, and is nothing left to be filled in? Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import commands, promql
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import (
    OWN,
    Runbook,
    Step,
    Task,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.known import (
    Context,
    Expression,
    Fault,
    Known,
    Rule,
    unit_names,
)

_PLACEHOLDER = re.compile(r"\b(?:TODO|FIXME|TBD)\b|\bx{3,}\b|<[^<>\s][^<>]*>", re.IGNORECASE)
#: Variables and playbooks that prose names.
_VARIABLE = re.compile(r"\bresilience_[a-z0-9_]+\b")
_PLAYBOOK = re.compile(r"\bthe playbook ([a-z_]+)\b", re.IGNORECASE)


def _unknown(where: str, kind: str, names: Sequence[str], known: Collection[str]) -> Iterator[Fault]:
    for name in names:
        if name not in known:
            yield where, f"there is no {kind} {name}", _nearest(name, known)


def _nearest(name: str, known: Collection[str]) -> str:
    """Those that begin alike, else how many there are."""
    alike = sorted(one for one in known if one[:4].lower() == name[:4].lower())
    return ", ".join(alike[:5]) or f"one of the {len(known)} that there are"


def _unknown_alerts(book: Runbook, context: Context) -> Iterator[Fault]:
    yield from _unknown("detection.alerts", "alert", book.alerts, context.known.alerts)


def _unknown_metrics(book: Runbook, context: Context) -> Iterator[Fault]:
    names = sorted({name for query in book.queries for name in promql.metrics(query.promql)})
    yield from _unknown("detection.queries", "metric", names, context.known.metrics)


def _unknown_components(book: Runbook, context: Context) -> Iterator[Fault]:
    yield from _unknown("detection.components", "health component", book.components, context.known.components)


def _unknown_playbooks(book: Runbook, context: Context) -> Iterator[Fault]:
    for step in book.steps:
        if step.task is None:
            continue
        if (step.task.playbook is None) == (step.task.module is None):
            yield f"step {step.id}", "its task is not one playbook or one module", "playbook, or module"
        yield from _unknown(f"step {step.id}", "playbook", _some(step.task.playbook), context.playbooks)
        yield from _unknown(f"step {step.id}", "module", _some(step.task.module), context.known.modules)
    for where, text in _all_texts(book):
        yield from _unknown(where, "playbook", _PLAYBOOK.findall(text), context.known.playbooks)


def _some(name: str | None) -> list[str]:
    return [] if name is None else [name]


def _unknown_variables(book: Runbook, context: Context) -> Iterator[Fault]:
    variables = context.known.variables | context.beside.variables
    for step in book.steps:
        if step.task is not None:
            yield from _unknown_of_task(f"step {step.id}", step.task, context.known, variables)
    for where, text in _all_texts(book):
        yield from _unknown(where, "variable", _VARIABLE.findall(text), variables)


def _unknown_of_task(where: str, task: Task, known: Known, variables: Collection[str]) -> Iterator[Fault]:
    names, module = list(task.variables), known.modules.get(task.module or "")
    if task.playbook is not None:
        yield from _unknown(where, "variable", names, variables)
    elif module is not None:
        yield from _unknown(where, f"option of {task.module}", names, module.options)


def _unknown_units(book: Runbook, context: Context) -> Iterator[Fault]:
    for step in book.steps:
        text = "\n".join([step.text, *(one.run for one in step.commands)])
        yield from _unknown(f"step {step.id}", "unit", sorted(unit_names(text)), context.known.units)


def _unknown_runbooks(book: Runbook, context: Context) -> Iterator[Fault]:
    for step in book.steps:
        yield from _unknown(f"step {step.id}", "runbook", [step.runbook] if step.runbook else [], context.runbooks)


def _tests(book: Runbook, known: Known) -> Iterator[tuple[str, str, Expression]]:
    for step in book.steps:
        for branch in step.branches:
            if branch.test in known.expressions:
                yield f"step {step.id}", branch.test, known.expressions[branch.test]


def _unreadable_tests(book: Runbook, context: Context) -> Iterator[Fault]:
    for where, text, test in _tests(book, context.known):
        if test.wrong:
            yield where, f"nobody can answer {text!r}: {test.wrong}", "steps.<step>.outcome == 'failure', for example"


def _tests_of_no_step(book: Runbook, context: Context) -> Iterator[Fault]:
    for where, _text, test in _tests(book, context.known):
        yield from _unknown(where, "step", sorted(test.steps), book.by_id)


def _incomplete_folder(book: Runbook, context: Context) -> Iterator[Fault]:
    for name in ("inject", *OWN) if book.drill is not None else ():
        if name not in context.beside.playbooks:
            yield "drill", f"its folder has no {name}.yml", "inject.yml, respond.yml and verify.yml, or no drill"


def _broken_links(book: Runbook, context: Context) -> Iterator[Fault]:
    for link in book.references:
        if "://" not in link and link not in context.known.links | context.known.unseen:
            yield (
                "references",
                f"{link} leads nowhere",
                "a path from the top of the collection, with a heading that is there",
            )


def _undeclared(book: Runbook, _context: Context) -> Iterator[Fault]:
    for step in book.steps:
        for name in sorted(_read_by(step) - set(book.parameters)):
            yield f"step {step.id}", f"${name} is no parameter", "parameters: what it holds and where it is read"


def _unread(book: Runbook, _context: Context) -> Iterator[Fault]:
    read = set().union(*map(_read_by, book.steps))
    for name in book.parameters:
        if name not in read:
            yield f"parameters.{name}", "no step reads it", "a step that does, or none of it"


def _read_by(step: Step) -> set[str]:
    given = [part for one in step.commands for part in (one.host, one.run)]
    if step.task is not None:
        # A group's hosts are those of the cluster.
        where = "$CLUSTER" if step.task.module is not None and step.task.host != "control" else ""
        given += [where, step.task.host, *commands.texts(step.task.variables)]
    return commands.parameters("\n".join(given))


def _placeholders(book: Runbook, _context: Context) -> Iterator[Fault]:
    for where, text in _all_texts(book):
        match = _PLACEHOLDER.search(text)
        if match:
            yield where, f"{match[0]} was to be filled in", "what it stands for"


def _all_texts(book: Runbook) -> Iterator[tuple[str, str]]:
    yield from (("title", book.title), ("owner", book.owner), ("severity.rule", book.severity_rule))
    yield from ((f"parameters.{name}", text) for name, text in book.parameters.items())
    yield from ((f"phases.{name}", phase.communication) for name, phase in book.phases.items())
    yield from (("contacts", f"{one.role}: {one.purpose}") for one in book.contacts)
    yield from (("preconditions", text) for text in [*book.preconditions, book.topology])
    yield from (("questions", text) for text in book.questions)
    yield from (("references", text) for text in book.references)
    for step in book.steps:
        said = [step.title, step.text, step.no_command, step.rollback, step.irreversible, *step.evidence]
        said += [one.when for one in step.branches] + [one.run for one in step.commands]
        said += list(commands.texts(step.task.variables)) if step.task else []
        yield from ((f"step {step.id}", text) for text in said)


RULES: dict[str, Rule] = {
    "alert_unknown": _unknown_alerts,
    "metric_unknown": _unknown_metrics,
    "component_unknown": _unknown_components,
    "task_unknown": _unknown_playbooks,
    "variable_unknown": _unknown_variables,
    "unit_unknown": _unknown_units,
    "runbook_unknown": _unknown_runbooks,
    "test_unreadable": _unreadable_tests,
    "test_of_no_step": _tests_of_no_step,
    "folder_incomplete": _incomplete_folder,
    "link_broken": _broken_links,
    "parameter_undeclared": _undeclared,
    "parameter_unread": _unread,
    "placeholder_left": _placeholders,
}

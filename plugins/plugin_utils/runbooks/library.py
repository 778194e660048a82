# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runbook that somebody asks for, with those that it leads to: found, read, and judged. Control node only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import filling
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, parsed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.lint import Source, lint
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue, record, screen

#: Faults with which a walk would go astray, or change what it only ought to look at.
ASTRAY = frozenset({
    "check_not_read_only", "cycle_unbounded", "edge_dangling", "edge_missing", "id_is_not_folder", "runbook_unknown",
    "runbooks_go_round", "step_not_unique", "step_unreachable", "task_unknown", "test_of_no_step", "test_unreadable",
    "variable_unknown",
})  # fmt: skip
#: It has a policy of its own.
OVERDUE = "review_overdue"


@dataclass(frozen=True)
class Chosen:
    """``books``: the runbook ``root`` and those that it leads to, by id. ``own``: of each, its folder's playbooks."""

    root: str
    books: Mapping[str, Runbook]
    own: Mapping[str, Mapping[str, str]]
    digest: str
    sources: Sequence[Source]

    @property
    def book(self) -> Runbook:
        return self.books[self.root]


def chosen(directory: Path, given: str | None) -> Chosen:
    """
    :raises InputError: there is none of that name or several; or one of them is no runbook, with where and why.
    """
    folders = catalogue.folders(directory)
    root = filling.named(given, folders)
    waiting, books, sources = [root], dict[str, Runbook](), list[Source]()
    while waiting:
        name = waiting.pop()
        if name in folders and name not in books:
            sources.append(catalogue.source(directory, name))
            books[name] = parsed(sources[-1].document, catalogue.schema(), name)
            waiting += [step.runbook for step in books[name].steps if step.runbook]
    own = {source.folder: catalogue.own(directory, source) for source in sources}
    digest = record.digest({source.folder: source.document for source in sources})
    return Chosen(root, books, own, digest, sources)


def demand_sound(what: Chosen, today: date, *, refuse_overdue: bool) -> list[str]:
    """What is not as it should be, and keeps nobody from running it.

    :raises InputError: something that does.
    :raises RefusedError: its review is overdue, and that is refused.
    """
    found = lint(what.sources, catalogue.schema(), catalogue.known(what.sources), today)
    astray = [str(one) for one in found if one.code in ASTRAY]
    if astray:
        raise InputError(
            "a runbook with such faults is not run: " + "; ".join(astray[:5]),
            given=what.root,
            next_step="correct it; the module runbook_lint finds all of them",
        )
    if refuse_overdue and any(one.code == OVERDUE for one in found):
        raise RefusedError(
            screen.overdue(what.book, today).removeprefix("; ") or "a review is overdue",
            given=f"{what.root}, reviewed {what.book.reviewed}, resilience_runbook_overdue=refuse",
            possible="a runbook whose review is not overdue, or resilience_runbook_overdue=warn",
            next_step="somebody reads it, tries it, and writes the date",
        )
    return [str(one) for one in found]


def demand_engine(what: Chosen, engine: str) -> None:
    """
    :raises InputError: who promotes in this cluster is not whom the runbook was written for.
    """
    if engine not in what.book.engines:
        raise InputError(
            f"this runbook is not for the engine {engine}: its steps would act past whoever promotes there",
            given=f"{what.root}, resilience_ha_engine={engine}",
            possible=", ".join(what.book.engines) or None,
            next_step="take another runbook; Patroni mends most of what these are for by itself",
        )


def listing(directory: Path) -> tuple[list[Runbook], dict[str, str]]:
    """Each runbook, and by folder why others are none."""
    books: list[Runbook] = []
    broken: dict[str, str] = {}
    for name in catalogue.folders(directory):
        try:
            books.append(parsed(catalogue.source(directory, name).document, catalogue.schema(), name))
        except InputError as error:
            broken[name] = error.message
    return books, broken

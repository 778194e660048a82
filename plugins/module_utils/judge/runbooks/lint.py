# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with runbooks, found before anybody needs them. Pure.

Each rule has a code of its own, and reports what only it can see: a runbook with one fault has one finding. What a
runbook may name (alerts, playbooks, units …) is handed in; so is today's date.
"""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.schema import Schema
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import (
    flow,
    graph,
    names,
    safety,
    signs,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import (
    Finding,
    Runbook,
    built,
    problems,
    tag,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.known import (
    NOTHING,
    Beside,
    Context,
    Known,
    Rule,
)

#: Each code, and the rule that finds what it stands for.
RULES: dict[str, Rule] = {**flow.RULES, **safety.RULES, **names.RULES, **signs.RULES}
#: A tag as somebody typed it into a command.
_TAG = re.compile(r"# DR: \S+")


@dataclass(frozen=True)
class Source:
    """A document, the name of the folder that it lies in, and what else lies there."""

    folder: str
    document: t.Any
    beside: Beside = NOTHING


def lint(sources: Sequence[Source], schema: Schema, known: Known, today: date) -> list[Finding]:
    """Everything that is wrong, runbook by runbook. What is no runbook at all is judged by the schema alone."""
    found: list[Finding] = []
    books: list[tuple[Source, Runbook]] = []
    for source in sources:
        wrong = problems(source.document, schema, source.folder)
        found += wrong
        if not wrong:
            books.append((source, built(source.document)))
    context = Context(known, today, frozenset(book.id for _source, book in books))
    for source, book in books:
        its = replace(context, beside=source.beside)
        found += [Finding(code, source.folder, *fault) for code, rule in RULES.items() for fault in rule(book, its)]
    return [*found, *_between([(source.folder, book) for source, book in books])]


def _between(books: Sequence[tuple[str, Runbook]]) -> Iterator[Finding]:
    names = Counter(book.id for _folder, book in books)
    for folder, book in books:
        if book.id != folder:
            yield Finding(
                "id_is_not_folder",
                folder,
                "id",
                f"it is {book.id}, and the folder {folder}",
                f"{folder}, or another folder",
            )
        elif names[book.id] > 1:
            yield Finding(
                "id_not_unique", folder, "id", f"{names[book.id]} runbooks are called {book.id}", "one of each name"
            )
    for ring in graph.rings({book.id: [step.runbook for step in book.steps] for _folder, book in books}):
        yield Finding(
            "runbooks_go_round",
            ring[0],
            "steps",
            f"{' and '.join(ring)} lead to one another",
            "one that ends without the others",
        )
    tags = Counter(one for _folder, book in books for one in _tags(book))
    for folder, book in books:
        for one in dict.fromkeys(_tags(book)):
            if tags[one] > 1 and names[book.id] == 1:
                yield Finding("tag_not_unique", folder, one, f"it stands at {tags[one]} places", "each tag once")


def _tags(book: Runbook) -> list[str]:
    """Those that the page gives each step, and those that somebody typed into a command."""
    given = [tag(book.id, step) for step in dict.fromkeys(step.id for step in book.steps)]
    return given + [one for step in book.steps for command in step.commands for one in _TAG.findall(command.run)]

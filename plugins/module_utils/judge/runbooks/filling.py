# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is given to a runbook: its name, and the parameters that its steps read. Pure."""

from __future__ import annotations

import difflib
import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import commands, graph
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, Step
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.flow import edges

#: The parameters that the run itself knows.
CLUSTER, STANZA = "CLUSTER", "STANZA"
_PARAMETER = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
#: Hosts of a step that are a group's or the control node, not a parameter's.
GROUPS = ("members", "repositories", "gateways", "observers")

Books = Mapping[str, Runbook]


def named(given: str | None, there: Sequence[str]) -> str:
    """The runbook that is meant: its name, or the beginning of just one.

    :raises InputError: none or several begin so.
    """
    if given in there:
        return str(given)
    alike = [name for name in there if given and name.startswith(given)]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise InputError(
            f"{len(alike)} runbooks begin with '{given}'", given=f"resilience_runbook={given}",
            possible=", ".join(alike), next_step="write more of the name",
        )  # fmt: skip
    nearest = difflib.get_close_matches(given or "", there, n=5, cutoff=0.5)
    raise InputError(
        f"there is no runbook named '{given}'" if given else "no runbook is named",
        given=f"resilience_runbook={given or ''}",
        possible=", ".join(nearest or there),
        next_step="run it again with -e resilience_runbook=<one of them>",
    )


def reads(step: Step) -> set[str]:
    """The parameters that its task cannot be run without."""
    if step.task is None:
        return set()
    within = {CLUSTER} if step.task.module is not None and step.task.host in GROUPS else set()
    return within | commands.parameters("\n".join([step.task.host, *commands.texts(step.task.variables)]))


def filled(value: t.Any, parameters: Mapping[str, t.Any], described: Mapping[str, str]) -> t.Any:
    """The same, each parameter replaced by what it holds; of several hosts, their names with commas.

    :param described: what the runbook says of each.
    :raises InputError: one of them was not given.
    """
    if isinstance(value, Mapping):
        return {key: filled(part, parameters, described) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [filled(part, parameters, described) for part in value]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in parameters:
            raise missing([name], described)
        return text(parameters[name])

    return _PARAMETER.sub(replaced, value)


def text(given: t.Any) -> str:
    """What a parameter holds as one word; of several hosts, their names with commas."""
    return ",".join(map(str, given)) if isinstance(given, list | tuple) else str(given)


def missing(names: Iterable[str], described: Mapping[str, str]) -> InputError:
    wanted = sorted(names)
    example = ", ".join(f'"{name}": "…"' for name in wanted)
    return InputError(
        f"nobody said what {' and '.join(f'${name}' for name in wanted)} is",
        possible="; ".join(f"{name}: {described[name]}" for name in wanted if name in described) or None,
        next_step=f"-e '{{\"resilience_runbook_parameters\": {{{example}}}}}'",
    )


def check_parameters(books: Books, root: str, given: Mapping[str, t.Any]) -> None:
    """
    :raises InputError: one is none of these runbooks', or one is missing that is needed whatever way the walk takes.
    """
    described = {name: text for book in books.values() for name, text in book.parameters.items()}
    for name in given:
        if name not in described and name not in (CLUSTER, STANZA):
            raise InputError(
                f"there is no parameter {name}",
                given=f"resilience_runbook_parameters has {name}",
                possible="; ".join(f"{one}: {text}" for one, text in described.items()),
            )
    needed = set().union(*map(reads, _certain(books, books[root])))
    if needed - set(given):
        raise missing(needed - set(given), described)


def _certain(books: Books, book: Runbook) -> Iterator[Step]:
    """The steps that are on every way to an end."""
    steps = edges(book)
    for step in book.steps:
        around = graph.reached(steps, book.steps[0].id, without=[step.id])
        if not any(one.type == "end" and one.id in around for one in book.steps):
            yield step
            if step.runbook:
                yield from _certain(books, books[step.runbook])

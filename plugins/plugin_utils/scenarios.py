# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runbooks can be drilled, and which ones somebody can be trained with. Control node only."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue, library

#: Scenarios that are judged in ways of their own have a playbook here.
DRILLS = catalogue.TOP / "playbooks" / "drills"
#: What a folder has whose fault can be made, whose procedure can be followed, and whose end can be looked at.
PLAYED = ("inject.yml", "respond.yml", "verify.yml")
#: By which a fault of the lab is made so that it ends, whatever has become of whoever made it.
_ENDS = re.compile(r"tasks_from: fault\.yml")
_TAKES_IN = re.compile(r"(?:include_tasks|import_tasks|import_playbook): *(\S+\.yml)")


@dataclass(frozen=True)
class Scenarios:
    """``possible``: runbooks by name; ``left_out``: by the name of each other one, why."""

    possible: dict[str, Runbook]
    left_out: dict[str, str]


def drilled(directory: Path, engine: str | None) -> Scenarios:
    """Those that a drill can be made of.

    :param engine: of the cluster; of no matter where it is None.
    :raises InputError: there is no runbook.
    """
    return _sorted(directory, engine, lambda name: _not_drilled(name, directory))


def trained(directory: Path, engine: str | None) -> Scenarios:
    """Those that somebody can be trained with.

    :raises InputError: there is no runbook.
    """
    return _sorted(directory, engine, lambda name: _not_trained(directory / name))


def _sorted(directory: Path, engine: str | None, why_not: t.Callable[[str], str | None]) -> Scenarios:
    books, left_out = library.listing(directory)
    for book in books:
        of_engine = None if engine is None or engine in book.engines else f"it is not for the engine {engine}"
        why = of_engine or why_not(book.id)
        left_out |= {} if why is None else {book.id: why}
    return Scenarios({book.id: book for book in books if book.id not in left_out}, left_out)


def _not_drilled(name: str, directory: Path) -> str | None:
    return None if (DRILLS / f"{name}.yml").is_file() else _lacks(directory / name)


def _not_trained(folder: Path) -> str | None:
    lacks = _lacks(folder)
    if lacks is None and not any(_ENDS.search(text) for text in _texts(folder / PLAYED[0])):
        return "nothing undoes its fault but its procedure"
    return lacks


def _texts(path: Path) -> Iterator[str]:
    """What a playbook says, and what the files say that it takes in."""
    text = path.read_text(encoding="utf-8")
    yield text
    for name in _TAKES_IN.findall(text):
        if (path.parent / name).is_file():
            yield from _texts(path.parent / name)


def _lacks(folder: Path) -> str | None:
    missing = [name for name in PLAYED if not (folder / name).is_file()]
    return f"its folder has no {', '.join(missing)}" if missing else None

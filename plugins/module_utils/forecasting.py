# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forecast from the records of this host: for modules, and for programs that run before a verification.

    foretold(read("orders", repos=[1, 2]), objectives, now, keep=True)

says how long recoveries would take, and keeps that beside the verifications, of which the next one tests it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import forecast
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.forecast import Known
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_to_replay import ends_of

NAMES = ("catalogue", "verifications", "forecasts")


@dataclass(frozen=True)
class Read:
    """What was read, and from where."""

    files: records.Files
    known: Known


def read(
    stanza: str,
    *,
    repos: Sequence[int],
    root: Path = records.ROOT,
    windows: Sequence[records.Record] = (),
    given: Mapping[str, Sequence[records.Record] | None] | None = None,
) -> Read:
    """The records of a stanza.

    :param windows: what recovery_window tells of each archive's end.
    :param given: records that stand in for those of this host, by the names of :class:`Known`.
    :raises UnknownError: a file is there and cannot be read.
    """
    files, instead = records.files(stanza, root), given or {}
    lines = {name: _lines(instead.get(name), getattr(files, name)) for name in NAMES}
    problems = [problem for one in lines.values() for problem in one.problems]
    parts = {name: one.records for name, one in lines.items()}
    return Read(files, Known(**parts, repos=repos, ends=ends_of(windows), problems=problems))


def _lines(given: Sequence[records.Record] | None, path: Path) -> records.Lines:
    return records.read(path) if given is None else records.Lines(tuple(given))


def foretold(what: Read, objectives: Mapping[str, t.Any], now: float, *, keep: bool) -> dict[str, t.Any]:
    """The forecast; kept where that is asked for.

    :raises UnknownError: it could not be written.
    """
    made = forecast.judge(what.known, objectives, now)
    if keep:
        records.append(what.files.forecasts, forecast.kept(made))
        records.replace(what.files.forecast, forecast.kept(made))
    return made

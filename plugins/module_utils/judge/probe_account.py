# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole account of one run of the probe, small enough to travel in a task's result."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import chain, ledger
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import worst


class Rows(t.Protocol):
    """What collect.probe_rows read."""

    @property
    def rows(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def server(self) -> str: ...
    @property
    def timeline(self) -> int: ...
    @property
    def lsn(self) -> str: ...


def run_of(lines: t.Sequence[str]) -> str | None:
    """The run that a ledger is of, from its header."""
    try:
        header = json.loads(lines[0])
        return str(header["run"]) if header.get("type") == "header" else None
    except (IndexError, ValueError, KeyError, AttributeError):
        return None


def account(
    lines: t.Sequence[str],
    rows: Rows | None,
    *,
    cut: ledger.Cut | None = None,
    why_unread: str = "",
    keep_lost: t.Callable[[str], object] | None = None,
) -> dict[str, t.Any]:
    """``{"probe": …, "checks": […], "verdict": …}`` of a ledger and the rows that are there.

    :param rows: ``None`` if they could not be read; ``why_unread`` says why.
    :param keep_lost: takes every lost row, one a line, where rows are lost; the account itself names the first few.
    """
    book = ledger.parse(lines)
    sets = None if rows is None else ledger.compare(book, rows.rows, cut)
    if keep_lost is not None and sets is not None and sets.lost:
        keep_lost(ledger.listed(sets.lost))
    found = [*ledger.checks(book, sets, why_unread=why_unread), *chain.probe_checks(book)]
    return {
        "probe": {
            "run": book.header.get("run"),
            "name": book.header.get("name"),
            "boot_id": book.header.get("boot_id"),
            "begin_ns": book.header.get("begin_ns"),
            "end_ns": (book.footer or {}).get("end_ns"),
            "begin_utc": book.header.get("utc"),
            "end_utc": (book.footer or {}).get("utc"),
            "clients": book.header.get("clients"),
            "interval_seconds": book.header.get("interval_seconds"),
            "versions": book.header.get("versions"),
            "attempts": len(book.attempts),
            "outcomes": book.outcomes,
            "problems": book.problems[: ledger.SAMPLE],
            "gaps": [gap.as_dict() for gap in chain.gaps(book)],
            "longest_stall_seconds": chain.longest_stall_seconds(book),
            "blind_seconds": chain.blind_seconds(book),
            "sets": None if sets is None else sets.as_dict(),
            "rpo": None if sets is None else rpo(book, sets),
            "rows": None
            if rows is None
            else {"read": len(rows.rows), "server": rows.server, "timeline": rows.timeline, "lsn": rows.lsn},
        },
        "checks": [check.as_dict() for check in found],
        "verdict": worst(found).value,
    }


def rpo(book: ledger.Ledger, sets: ledger.Sets) -> dict[str, float | int | None]:
    """The loss in its three units. Zero is only said of a whole ledger; what a damaged one shows as lost is lost."""
    if book.problems and not sets.lost:
        return {"transactions": None, "seconds": None, "wal_bytes": None}
    return {"transactions": len(sets.lost), "seconds": sets.rpo_seconds, "wal_bytes": sets.rpo_wal_bytes}

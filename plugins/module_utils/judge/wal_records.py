# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stretch of WAL did, from pg_waldump's words: which transactions committed, and what they changed. Pure."""

from __future__ import annotations

import re
import typing as t
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import lsn_to_int

RECORD = re.compile(
    r"^rmgr: (?P<rmgr>\S+) .*? tx: +(?P<xid>\d+), lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+), prev [^,]+,"
    r" desc: (?P<what>\S+)(?P<rest>.*)$"
)
RELATION = re.compile(r"blkref #0: rel \d+/(\d+)/(\d+)\b(?! fork)")
COMMIT_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [^\s;]+")
SUBTRANSACTIONS = re.compile(r"subxacts: ([\d ]+)")
PREPARED = re.compile(r"^ (\d+):")
#: What a record of the heap does to rows, by the first word of its description.
CHANGES = {
    "INSERT": "inserted",
    "MULTI_INSERT": "inserted",
    "UPDATE": "updated",
    "HOT_UPDATE": "updated",
    "DELETE": "deleted",
}

#: Oid of the database, filenode of the relation.
Relation = tuple[int, int]


@dataclass
class Written:
    """``committed``: 32-bit transaction ids, subtransactions included, with the time of commit as text. ``changes``:
    number of records of each kind, by transaction and relation; a record may insert several rows. ``newest``: where
    the newest record begins that was taken; it and older ones are not taken again.
    """

    committed: dict[int, str] = field(default_factory=dict)
    changes: dict[int, dict[Relation, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    transactions: int = 0
    newest: int = 0

    def take(self, lines: t.Iterable[str]) -> None:
        """Read more of it, in any portions. Lines that are no records are passed over."""
        for line in lines:
            record = RECORD.match(line)
            if record is None or lsn_to_int(record["lsn"]) <= self.newest:
                continue
            self.newest = lsn_to_int(record["lsn"])
            if record["rmgr"] == "Transaction" and record["what"].startswith("COMMIT"):
                self._commit(record)
            elif record["rmgr"] in ("Heap", "Heap2"):
                self._change(record)

    def by_relation(self) -> dict[Relation, Counter[str]]:
        """What committed transactions changed."""
        found: dict[Relation, Counter[str]] = defaultdict(Counter)
        for xid, relations in self.changes.items():
            if xid in self.committed:
                for relation, counted in relations.items():
                    found[relation].update(counted)
        return dict(found)

    def _commit(self, record: re.Match[str]) -> None:
        when = COMMIT_TIME.search(record["rest"])
        own = int(record["xid"])
        if prepared := PREPARED.match(record["rest"]):
            own = int(prepared[1])
        below = SUBTRANSACTIONS.search(record["rest"])
        self.transactions += 1
        for xid in [own, *map(int, below[1].split() if below else [])]:
            self.committed[xid] = when[0] if when else ""

    def _change(self, record: re.Match[str]) -> None:
        kind = CHANGES.get(record["what"].split("+")[0])
        relation = RELATION.search(record["rest"])
        if kind is not None and relation is not None:
            self.changes[int(record["xid"])][int(relation[1]), int(relation[2])][kind] += 1

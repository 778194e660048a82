# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recovery that never took place, as the probe, the timeline and the judge would tell it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import clocks, report
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.timeline import CONTROL

NANO = 1_000_000_000
#: The fault, on the observer's clock; and how far that clock is ahead of the control node's.
FAULT_NS = 5_000 * NANO
AHEAD_NS = 3 * NANO


def probe_ledger(t1: float, t7: float, until: float, *, fails: bool, clients: int = 4, interval: float = 0.05) -> bytes:
    """Clients commit every ``interval`` seconds from -5 s on, but for the time between ``t1`` and ``t7``."""
    lines: list[dict[str, t.Any]] = [{"type": "header", "version": 1, "clients": clients, "interval_seconds": interval}]
    for client in range(clients):
        now, seq = -5.0 + client * interval / clients, 0
        while now < until:
            seq += 1
            begin, end, outcome = now, now + 0.004 + 0.001 * (seq % 3), "acked"
            if t1 < end < t7:
                if fails:
                    end, outcome = (min(now + 0.2, t7), "unknown") if now < t1 + 0.1 else (now + 0.003, "failed")
                else:
                    end = t7 + 0.003 * client
            lines.append({"client": client, "seq": seq, "outcome": outcome, **_ns(begin, end)})
            now = max(now + interval, end)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _ns(begin: float, end: float) -> dict[str, int]:
    return {"begin_ns": FAULT_NS + round(begin * NANO), "end_ns": FAULT_NS + round(end * NANO)}


HOST_LOST = {
    "rto_seconds": 4.312,
    "rpo": {"transactions": 0, "seconds": 0.0, "wal_bytes": 0},
    "probe_interval_seconds": 0.05,
    "chain": {
        "t0": 0.0, "t1": 0.021, "t2": 0.233, "t3": 1.04, "t4": 2.31, "t5": 2.62, "t6": 4.01, "t7": 4.333, "t8": 4.52,
        "t9": 31.6, "t10": 21.2, "t11": 48.9,
    },
    "chain_origin": "t0",
    "decided_seconds": 1.11,
    "outage": {"t1_ns": FAULT_NS + 21_000_000},
    "outcomes": {"acked": 4021, "acked_unsafe": 0, "failed": 231, "unknown": 4},
    "objectives": {"rto_seconds": 10, "rpo_seconds": 300, "availability_percent": 99.95},
    "checks": [
        {"name": "service_recovered", "verdict": "passed", "reason": "all commit again"},
        {"name": "no_row_lost", "verdict": "passed", "reason": "4021 acknowledged rows, all of them are there"},
        {"name": "fenced_before_promotion", "verdict": "passed", "reason": "0.310 s before"},
        {"name": "rto", "verdict": "passed", "reason": "4.312 of at most 10 s, resolution 0.05 s"},
    ],
}  # fmt: skip

#: Phases a tenth of a second apart, and no failure: clients only waited.
SWITCHOVER = {
    "rto_seconds": 0.871,
    "rpo": {"transactions": 0, "seconds": 0.0, "wal_bytes": 0},
    "probe_interval_seconds": 0.05,
    "chain": {
        "t0": None, "t1": 0.0, "t2": None, "t3": None, "t4": 0.31, "t5": 0.41, "t6": 0.52, "t7": 0.871, "t8": 0.88,
        "t9": 2.9, "t10": 3.1, "t11": 9.4,
    },
    "chain_origin": "t1",
    "decided_seconds": -2.4,
    "outage": {"t1_ns": FAULT_NS},
    "outcomes": {"acked": 1200, "acked_unsafe": 0, "failed": 0, "unknown": 0},
    "checks": [
        {"name": "service_recovered", "verdict": "passed", "reason": "clients felt no outage"},
        {"name": "no_failed_transaction", "verdict": "passed", "reason": "none of 1200 attempts failed"},
    ],
}  # fmt: skip


@pytest.fixture
def host_lost() -> dict[str, t.Any]:
    return json.loads(json.dumps(HOST_LOST))


@pytest.fixture
def switchover() -> dict[str, t.Any]:
    return json.loads(json.dumps(SWITCHOVER))


@pytest.fixture
def ledger() -> bytes:
    return probe_ledger(0.021, 4.333, 9.0, fails=True)


def timeline_of(bundle: Bundle) -> None:
    """What the control node marks in a drill, its clock three seconds behind the observer's."""
    at = {"clock": CONTROL, "error_ns": 0}
    begin = FAULT_NS - AHEAD_NS
    bundle.timeline.append(
        "clock", other_clock=clocks.OBSERVER, host="observer", offset_ns=AHEAD_NS, offset_error_ns=20_000_000,
        monotonic_ns=begin - NANO,
    )  # fmt: skip
    for mark, seconds, detail in (
        ("fault", 0.0, "container of pg-a1 killed"),
        ("decided", 1.11, "pg-a2: 0 bytes behind, region a"),
        ("fenced", 2.31, "pg-a1: the fence agent says off"),
        ("promote_asked", 2.62, "pg-a2"),
        ("redundancy_back", 31.6, "pg-b1 streams from pg-a2"),
        ("archiving_back", 21.2, "00000002000000000000000A in repo1 and repo2"),
        ("new_backup", 48.9, "20261123-091203F_20261123-093001I"),
    ):
        stamp = {**at, "monotonic_ns": begin + round(seconds * NANO)}
        bundle.timeline.append("mark", mark=mark, detail=detail, host="localhost", **stamp)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    operator = {"user": "dba", "host": "control", "awx": {}}
    made = Bundle.create(
        tmp_path / "evidence",
        "drill",
        "lab",
        "primary_host_lost",
        operator=operator,
        versions={"ansible-core": "2.19.14"},
    )
    timeline_of(made)
    return made


@pytest.fixture
def about(bundle: Bundle) -> report.Circumstances:
    opening = bundle.opening()
    return report.Circumstances(
        operation="drill",
        scenario="primary_host_lost",
        cluster="lab",
        folder=bundle.path.name,
        operator=opening["operator"],
        inventory={"pg-a1": {"groups": ["members"], "region": "a", "address": "198.18.1.11"}},
        versions=opening["versions"],
        objectives={"retention_days": 30},
        key_fingerprint="SHA256:47K5BDcKwuvwQ7ICvtHhPSDndKx5mY7PJRP2VGKnN74",
    )

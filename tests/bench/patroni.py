# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same disasters on Patroni with its defaults, on hosts as ours: what our figures are compared with.

The writer is the one that our own figures are checked with, through an HAProxy that asks Patroni every second.
"""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path

from rounds import Bench, Samples
from witness import Witness

PLAYBOOK = str(Path(__file__).with_name("patroni.yml"))
PASSWORD = secrets.token_hex(16)


def set_up(bench: Bench) -> None:
    """On new hosts, so that nothing of ours runs beside it."""
    bench.play("lab_down")
    bench.play("lab_up")
    bench.play(PLAYBOOK, "-e", f"bench_password={PASSWORD}")


def remove(bench: Bench) -> None:
    bench.play("lab_down")


def switchover_and_host_lost(bench: Bench) -> Samples:
    return {**switchover(bench), **host_lost(bench)}


def switchover(bench: Bench) -> Samples:
    leader = who(bench, "leader")
    # A client that waits longer than a second for an answer only makes the stall longer here.
    with Witness(bench.lab, dsn(bench)) as witness:
        bench.lab.said(leader, "patronictl -c /etc/patroni/bench.yml switchover bench --force --candidate %s",
                       who(bench, "sync_standby"))  # fmt: skip
        witness.await_acks(200, since=time.monotonic())
    healthy(bench)
    return {
        "switchover_failed_transactions": witness.failed(),
        "switchover_stall_seconds": witness.longest_gap(),
    }


def host_lost(bench: Bench) -> Samples:
    lost = who(bench, "leader")
    with Witness(bench.lab, dsn(bench)) as witness:
        begin = time.monotonic()
        bench.lose_host(lost)
        witness.await_gap(begin)
        witness.await_acks(100, since=time.monotonic())
    leader = who(bench, "leader", beside=lost)
    there = {int(row[0]) for row in rows(bench, leader)}
    missing = sum(attempt.acked and attempt.number not in there for attempt in witness.attempts)
    bench.play("lab_up")
    healthy(bench)
    return {"host_lost_outage_seconds": witness.longest_gap(), "host_lost_rows": missing}


def healthy(bench: Bench) -> None:
    """Everybody is there and streams again; the playbook waits for it."""
    bench.play(PLAYBOOK, "-e", f"bench_password={PASSWORD}")


def who(bench: Bench, role: str, beside: str = "") -> str:
    """The member of that role, by Patroni's own word."""
    asked = next(name for name in bench.lab.members if name != beside)
    said = bench.lab.said(asked, "patronictl -c /etc/patroni/bench.yml list --format json")
    [only] = [one["Member"] for one in json.loads(said) if one["Role"].lower().replace(" ", "_") == role]
    return str(only)


def rows(bench: Bench, leader: str) -> list[list[str]]:
    command = "cd / && runuser -u postgres -- psql -XAtq --port=5433 -c 'SELECT number FROM resilience.witness'"
    return [line.split() for line in bench.lab.said(leader, command).splitlines()]


def dsn(bench: Bench) -> str:
    observer = bench.lab.variable("observer", "ansible_host")
    return f"host={observer} port=5500 dbname=postgres user=bench password={PASSWORD}"

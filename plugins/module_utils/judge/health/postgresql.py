# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured of PostgreSQL, as findings. Pure."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, Status, at_most

Limits = tuple[float, float]
#: Transaction numbers that may be in use before PostgreSQL takes no more.
XID_SPACE = 2**31


def percentile(samples: t.Sequence[float], part: float) -> float:
    """By the nearest rank, so that it is one of the samples."""
    return sorted(samples)[max(0, math.ceil(part * len(samples)) - 1)]


def latency(samples: t.Sequence[float], limits: Limits) -> list[Finding]:
    """The 95th percentile of the last answers: one slow answer is none."""
    return [at_most("p95", percentile(samples, 0.95), limits, "s", f"p95 of {len(samples)} answers")]


def written(seconds: float, limits: Limits) -> list[Finding]:
    return [at_most("seconds", seconds, limits, "s", "a row was written and read back")]


def login(seconds: float, limits: Limits) -> list[Finding]:
    return [at_most("seconds", seconds, limits, "s", "a new session, and its first answer")]


@dataclass(frozen=True)
class Sessions:
    """Seconds are of the longest; None where nobody waits."""

    slots: int
    used: int
    locked: int
    locked_seconds: float | None
    sync_seconds: float | None
    storage_seconds: float | None
    idle_seconds: float | None


def sessions(seen: Sessions, used: Limits, waiting: Limits, idle: Limits) -> list[Finding]:
    share = 100.0 * seen.used / seen.slots
    return [
        at_most("used", share, used, "%", f"{seen.used} of {seen.slots} connection slots are taken"),
        at_most("locked", seen.locked_seconds or 0.0, waiting, "s", f"{seen.locked} wait for a lock, the longest"),
        at_most("sync", seen.sync_seconds or 0.0, waiting, "s", "the longest wait of a commit for a standby"),
        at_most("storage", seen.storage_seconds or 0.0, waiting, "s", "the longest wait for WAL to be written"),
        at_most("idle", seen.idle_seconds or 0.0, idle, "s", "the longest idle transaction"),
    ]


@dataclass(frozen=True)
class Replication:
    """One of a standby, or one of a primary: what does not belong to it is None."""

    in_recovery: bool
    streaming: bool = False
    lag_bytes: int | None = None
    silent_seconds: float | None = None
    paused: bool = False
    standbys: int = 0
    synchronous: int = 0
    waits_for: str = ""


def replication(seen: Replication, lag: Limits, silent: Limits, standbys: int) -> list[Finding]:
    """Bytes of lag alone read 0 while a network is cut, so the time without a word counts, too."""
    if not seen.in_recovery:
        return _of_primary(seen, lag, standbys)
    if not seen.streaming:
        return [Finding(Status.FAIL, "it receives no stream", "streaming", 0.0)]
    found = [
        at_most("lag", seen.lag_bytes, lag, "bytes", "not replayed"),
        at_most("silent", seen.silent_seconds, silent, "s", "without a word from the primary"),
    ]
    if seen.paused:
        found.append(Finding(Status.WARN, "replay is paused", "paused", 1.0))
    return found


def _of_primary(seen: Replication, lag: Limits, standbys: int) -> list[Finding]:
    said = f"{seen.standbys} standbys stream" + (f" of {standbys}" if standbys else "")
    status = Status.PASS
    if seen.standbys < standbys:
        status = Status.WARN if seen.standbys else Status.FAIL
    found = [Finding(status, said, "standbys", float(seen.standbys))]
    if seen.waits_for and not seen.synchronous:
        said = f"commits wait for {seen.waits_for}, and nobody of them is there"
        found.append(Finding(Status.FAIL, said, "synchronous", 0.0))
    if seen.standbys:
        found.append(at_most("lag", seen.lag_bytes, lag, "bytes", "the last standby has not replayed"))
    return found


def heartbeat_seen(unchanged_for: float | None, limits: Limits) -> list[Finding]:
    """``unchanged_for``: by this host's monotonic clock alone, since the row was last seen to change."""
    return [at_most("age", unchanged_for, limits, "s", "since the heartbeat changed here")]


@dataclass(frozen=True)
class Slot:
    name: str
    active: bool
    wal_status: str | None
    retained_bytes: float | None


#: What PostgreSQL calls a slot that holds back more than it may.
SLOT_STATUS = {"extended": Status.WARN, "unreserved": Status.FAIL, "lost": Status.FAIL}


def slots(
    seen: t.Sequence[Slot], in_recovery: bool, retained: Limits, expected: t.Collection[str] | None = None
) -> list[Finding]:
    """``expected``: the slots of members and receivers, if known; an unused one tells that its user is away."""
    found = []
    for slot in seen:
        status = SLOT_STATUS.get(slot.wal_status or "", Status.PASS)
        if status is not Status.PASS:
            found.append(Finding(status, f"{slot.name} is {slot.wal_status}", "status", of=slot.name))
        elif not slot.active and not in_recovery:
            said = f"nobody uses {slot.name}{_whose(slot.name, expected)}"
            found.append(Finding(Status.WARN, said, "active", 0.0, of=slot.name))
        if slot.retained_bytes is not None:
            found.append(
                at_most("retained", slot.retained_bytes, retained, "bytes", f"{slot.name} holds back", slot.name)
            )
    return found or [Finding(Status.PASS, "no slot holds WAL back", "retained", 0.0, "bytes")]


def _whose(name: str, expected: t.Collection[str] | None) -> str:
    if expected is None:
        return ""
    return ": a member's or receiver's" if name in expected else ": no member or receiver is called so"


@dataclass(frozen=True)
class Archiver:
    enabled: bool
    in_recovery: bool
    failing: bool
    waiting: int
    oldest_seconds: float | None


def archiving(seen: Archiver, waiting: Limits, oldest: Limits) -> list[Finding]:
    if not seen.enabled:
        return [Finding(Status.FAIL, "WAL is not archived", "enabled", 0.0)]
    if seen.in_recovery and not seen.waiting:
        return [Finding(Status.PASS, "a standby leaves archiving to the primary", "waiting", 0.0)]
    found = [
        at_most("waiting", seen.waiting, waiting, "segments", "not archived yet"),
        at_most("oldest", seen.oldest_seconds or 0.0, oldest, "s", "the oldest of them waits"),
    ]
    if seen.failing:
        found.append(Finding(Status.WARN, "the last attempt to archive failed", "failing", 1.0))
    return found


def transaction_ids(xid_age: int, mxid_age: int, prepared_seconds: float | None, limits: Limits) -> list[Finding]:
    found = [
        at_most("xid", 100.0 * xid_age / XID_SPACE, limits, "%", "of the transaction numbers in use"),
        at_most("mxid", 100.0 * mxid_age / XID_SPACE, limits, "%", "of the multixact numbers in use"),
    ]
    if prepared_seconds is not None:
        found.append(at_most("prepared", prepared_seconds, (300.0, 3600.0), "s", "the oldest prepared transaction"))
    return found


def sequences(used: t.Mapping[str, float], limits: Limits) -> list[Finding]:
    """``used``: percent of what each sequence, or the column that it fills, can hold; the fullest ones."""
    found = [at_most("used", percent, limits, "%", f"{name} is used up", name) for name, percent in used.items()]
    return found or [Finding(Status.PASS, "no sequence is in use", "used", 0.0, "%")]


def checksums(enabled: bool, failures: t.Mapping[str, int]) -> list[Finding]:
    if not enabled:
        return [Finding(Status.WARN, "data have no checksums: nobody would notice", "enabled", 0.0)]
    bad = {name: count for name, count in failures.items() if count}
    said = ", ".join(f"{count} in {name}" for name, count in bad.items())
    status = Status.FAIL if bad else Status.PASS
    return [Finding(status, f"pages with a wrong checksum: {said or 'none'}", "failures", float(sum(bad.values())))]


def storage(read: int, failed: t.Mapping[str, str]) -> list[Finding]:
    """``failed``: for each tablespace with a block that cannot be read, what PostgreSQL says."""
    found = [Finding(Status.FAIL, f"{name}: {said}", "unreadable", 1.0, of=name) for name, said in failed.items()]
    return found or [Finding(Status.PASS, f"{read} blocks were read", "unreadable", 0.0)]


def configuration(wrong: t.Sequence[str], pending: t.Sequence[str]) -> list[Finding]:
    """A file that cannot be read as it is keeps the old rules until the next restart, which then fails."""
    found = [Finding(Status.FAIL, one, "wrong", 1.0) for one in wrong]
    if pending:
        found.append(Finding(Status.WARN, f"a restart would change {', '.join(pending)}", "pending", len(pending)))
    return found or [Finding(Status.PASS, "its files are what it runs by", "wrong", 0.0)]


@dataclass(frozen=True)
class Pool:
    name: str
    waiting: int
    longest_wait: float
    used: int
    size: int


def pools(seen: t.Sequence[Pool], clients: int, most: int, used: Limits, waiting: Limits) -> list[Finding]:
    """All of a pool's connections in use is what a pool is for, as long as nobody waits."""
    share = 100.0 * clients / most
    found = [at_most("clients", share, used, "%", f"{clients} of {most} client connections are taken")]
    for pool in seen:
        said = f"{pool.waiting} wait for {pool.name}, with {pool.used} of {pool.size} in use; the longest"
        found.append(at_most("waiting", pool.longest_wait, waiting, "s", said, pool.name))
    return found

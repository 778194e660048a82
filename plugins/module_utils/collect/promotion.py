# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promotes a standby whose primary is gone and fenced."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import monotonic_ns, poll, utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import checked_lsn
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.slots import slots_of

#: Seconds between two looks at the replay.
POLL_SECONDS = 0.05
#: Seconds that the first checkpoint of a new primary may take.
CHECKPOINT_SECONDS = 600.0
#: Seconds that PostgreSQL itself waits for the end of a promotion.
PROMOTE_SECONDS = 60
#: On a new primary until its history is archived and backed up: a failover that was killed is gone on with.
UNPROTECTED = Path("/var/lib/fraiseql-resilience/unprotected")

PRIMARY = """
SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int || ' ' || pg_current_wal_lsn()
"""


def promote(
    member: t.Mapping[str, t.Any],
    require_lsn: str | None,
    timeout: float,
    *,
    check_mode: bool,
    run: Runner,
) -> dict[str, t.Any]:
    """Replay what is there, make the others' slots, promote. A primary only gets the slots.

    :raises UnknownError: ``require_lsn`` was not replayed in time, so WAL is missing here, and nothing was changed; or
        PostgreSQL did not say that the promotion ended.
    """
    if require_lsn is not None:
        checked_lsn(require_lsn)
    server = LocalServer.of(member, run)
    events: list[dict[str, t.Any]] = []
    standby = server.value("SELECT pg_is_in_recovery()") == "t"
    if standby and not check_mode:
        if require_lsn is not None:
            _await_replay(server, require_lsn, timeout)
        server.value(create_slots(member))
        _leave_mark()
        _event(events, "promote_asked")
        _ask_to_promote(server, member["name"])
        _event(events, "writable")
        # Until its first checkpoint the control file tells of the old timeline: no backup and no rewind can begin.
        server.value("CHECKPOINT", timeout=CHECKPOINT_SECONDS)
    elif not check_mode:
        server.value(create_slots(member))
    if standby and check_mode:
        return {"changed": True, "events": [], "clock": monotonic_ns()}
    timeline, lsn = server.value(PRIMARY).split()
    return {
        "changed": standby,
        "timeline": int(timeline),
        "promote_lsn": lsn,
        "events": events,
        "clock": monotonic_ns(),
    }


def create_slots(member: t.Mapping[str, t.Any]) -> str:
    """SQL that makes a slot for every other member and receiver that has none."""
    names = ", ".join(f"('{name}')" for name in slots_of(member))
    if not names:
        return "SELECT 0"
    return (
        f"SELECT count(pg_create_physical_replication_slot(name)) FROM (VALUES {names}) AS wanted (name)"
        " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = wanted.name)"
    )


def _await_replay(server: LocalServer, lsn: str, timeout: float) -> None:
    def replayed() -> bool | None:
        return True if server.value(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn") == "t" else None

    try:
        poll(replayed, timeout=timeout, interval=POLL_SECONDS, what=f"WAL up to {lsn} is replayed")
    except UnknownError as error:
        error.given = f"require_lsn {lsn}, replayed up to {server.value('SELECT pg_last_wal_replay_lsn()')}"
        error.next_step = "bring the missing WAL to this host, or choose the member that holds it"
        raise


def _leave_mark() -> None:
    """A disk that is full must not keep anybody from taking over."""
    try:
        UNPROTECTED.touch()
    except OSError:
        pass


def _ask_to_promote(server: LocalServer, name: str) -> None:
    try:
        answer = server.value(f"SELECT pg_promote(true, {PROMOTE_SECONDS})", timeout=PROMOTE_SECONDS + 5)
    except CommandError as error:
        answer = error.message
    if answer != "t":
        raise UnknownError(
            f"{name} was asked to promote and did not end its recovery within {PROMOTE_SECONDS} s ({answer})",
            changed=True,
            next_step=f"read PostgreSQL's log on {name}; it may still become primary",
        )


def _event(events: list[dict[str, t.Any]], name: str) -> None:
    events.append({"name": name, "monotonic_ns": monotonic_ns(), "utc": utc_now()})

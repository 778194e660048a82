#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promotes this standby as soon as it has replayed its primary's shutdown, and not otherwise.

    armed ──the last WAL record is the primary's shutdown checkpoint, and is replayed──> promoted
      ├── deadline ──> expired
      └── told to stop ──> disarmed

A primary that was shut down writes that checkpoint last, so nothing that it ever acknowledged can be missing here. A
primary that died, or a cut connection, leaves another record last, and nothing happens. What became of it stands in the
state file, which is replaced in one step.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import psycopg2
from armed_state import State, Told, raise_when_told

STATE = "/var/lib/fraiseql-resilience/promotion.json"
DESCRIPTOR = "/etc/fraiseql-resilience/member.json"
POLL_SECONDS = 0.015
#: Where a record begins and what it is, in pg_waldump's words.
RECORD = re.compile(r" lsn: ([0-9A-F]+/[0-9A-F]+),.*? desc: (\w+)")
RESTORE_WAL = "/usr/local/lib/fraiseql-resilience/restore_wal.py"
#: While it stands in this unit's runtime directory, a standby's restore_command asks the archive for nothing.
EXHAUSTED = "archive-exhausted"
#: Seconds for the archive's answer, before anybody waits.
ARCHIVE_SECONDS = 5
#: Seconds for one look at the WAL.
WALDUMP_SECONDS = 5
#: Seconds of WAL that are looked at when the stream has ended: the shutdown may be replayed before the stream ends.
LOOK_BACK_SECONDS = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Promote this standby once it has replayed its primary's shutdown.")
    parser.add_argument("--token", required=True, help="names this arming in the state file")
    parser.add_argument("--deadline", type=float, required=True, help="seconds after which it is disarmed")
    parser.add_argument("--descriptor", default=DESCRIPTOR)
    parser.add_argument("--state-file", default=STATE)
    given = parser.parse_args()
    with open(given.descriptor, encoding="utf-8") as file:
        member = json.load(file)
    raise_when_told()
    state = State(given.state_file, given.token)
    try:
        return Promotion(member, state).run(given.deadline)
    except Told:
        # One that is told in its last checkpoint, or just beside it, has promoted.
        promoted = state.content.get("state") == "promoted"
        return 0 if promoted else state.end("disarmed", "it was told to stop", 0)
    except (psycopg2.Error, OSError) as error:
        return state.end("failed", str(error).strip(), 1)


class Promotion:
    """The standby, seen over its own socket."""

    def __init__(self, member: dict[str, t.Any], state: State) -> None:
        self.member = member
        self.state = state
        self.connection = psycopg2.connect(
            host=member["socket_dir"], port=member["port"], dbname="postgres", application_name="resilience-promotion"
        )
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def ask(self, statement: str, values: t.Sequence[t.Any] = ()) -> tuple[t.Any, ...]:
        self.cursor.execute(statement, values or None)
        row = self.cursor.fetchone()
        assert row is not None
        return tuple(row)

    def run(self, deadline: float) -> int:
        end = time.monotonic() + deadline
        in_recovery, streaming, timeline = self.ask(
            "SELECT pg_is_in_recovery(), EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'),"
            " coalesce((SELECT received_tli FROM pg_stat_wal_receiver), 0)"
        )
        if not in_recovery or not streaming:
            what = "it is no standby" if not in_recovery else "it does not stream"
            return self.state.end("failed", f"{self.member['name']} cannot be armed: {what}", 1)
        self.create_slots()
        self.ask_archive(timeline)
        self.state.event("armed")
        self.state.write("armed")
        seen: collections.deque[tuple[float, str]] = collections.deque()
        while time.monotonic() < end:
            streaming, replayed = self.ask(
                "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'), pg_last_wal_replay_lsn()"
            )
            if streaming:
                seen.append((time.monotonic(), replayed))
                while len(seen) > 1 and seen[1][0] < time.monotonic() - LOOK_BACK_SECONDS:
                    seen.popleft()
            elif seen and self.shutdown_replayed(seen[0][1], timeline):
                return self.promote()
            time.sleep(POLL_SECONDS)
        return self.state.end("expired", "the primary did not shut down in time", 1)

    def shutdown_replayed(self, since: str, timeline: int) -> bool:
        """Is the primary's shutdown checkpoint the last record here, and has it been replayed?"""
        dump = self.waldump(since, timeline)
        begin = shutdown_begin(dump if RECORD.search(dump) else self.waldump(self.segment_begin(since), timeline))
        if begin is None:
            return False
        (replayed,) = self.ask("SELECT pg_last_wal_replay_lsn() > %s::pg_lsn", [begin])
        return bool(replayed)

    def segment_begin(self, lsn: str) -> str:
        (begin,) = self.ask(
            "SELECT (pg_lsn '0/0' + (%s::pg_lsn - '0/0') - mod(%s::pg_lsn - '0/0', setting::numeric))::text"
            " FROM pg_settings WHERE name = 'wal_segment_size'",
            [lsn, lsn],
        )
        return str(begin)

    def waldump(self, begin: str, timeline: int) -> str:
        argv = [
            f"{self.member['bin_dir']}/pg_waldump", "--path", f"{self.member['data_dir']}/pg_wal",
            "--timeline", str(timeline), "--start", begin,
        ]  # fmt: skip
        try:
            # It ends with an error where the WAL ends; what it printed before that is what is asked for.
            return subprocess.run(argv, capture_output=True, text=True, timeout=WALDUMP_SECONDS, check=False).stdout
        except subprocess.TimeoutExpired:
            return ""  # On a busy disk the next look may tell; clients wait, and nobody else would promote.

    def create_slots(self) -> None:
        """The other members and the receivers find their slots here when they come."""
        others = [peer["name"] for peer in self.member["peers"] if peer["name"] != self.member["name"]]
        for name in [*others, *self.member["receivers"]]:
            slot = re.sub(r"[^a-z0-9_]", "_", name.lower())
            self.cursor.execute(
                "SELECT pg_create_physical_replication_slot(%s)"
                " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %s)",
                [slot, slot],
            )

    def ask_archive(self, timeline: int) -> None:
        """Ask for the next timeline now, so that the promotion need not: PostgreSQL takes the first free number.

        Where the archive holds it, or can't be asked, PostgreSQL asks by itself, and clients wait a little longer.
        """
        folder = Path(os.environ["RUNTIME_DIRECTORY"])
        argv = [RESTORE_WAL, f"{timeline + 1:08X}.history", str(folder / "history")]
        try:
            answer = subprocess.run(argv, capture_output=True, timeout=ARCHIVE_SECONDS, check=False).returncode
        except (OSError, subprocess.TimeoutExpired):
            return
        if answer == 1:
            (folder / EXHAUSTED).touch()

    def promote(self) -> int:
        # From here on it becomes a primary, told to stop or not, and must not say that it was disarmed.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.state.event("shutdown_replayed")
        self.cursor.execute("SELECT pg_promote(true, 30)")
        in_recovery, lsn = self.ask(
            "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_lsn() END"
        )
        if in_recovery:
            return self.state.end("failed", "it was asked to promote and is still in recovery", 1)
        (timeline,) = self.ask("SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int")
        ended = self.state.end("promoted", "", 0, timeline=timeline, promote_lsn=lsn)
        raise_when_told()
        # Until its first checkpoint the control file tells of the old timeline: no backup and no rewind can begin.
        with contextlib.suppress(Told, psycopg2.Error):
            self.cursor.execute("CHECKPOINT")
        return ended


def shutdown_begin(dump: str) -> str | None:
    """Where the shutdown checkpoint begins, if it is the last record of the dump."""
    records = list(RECORD.finditer(dump))
    last = records[-1] if records else None
    return last.group(1) if last is not None and last.group(2) == "CHECKPOINT_SHUTDOWN" else None


if __name__ == "__main__":
    sys.exit(main())

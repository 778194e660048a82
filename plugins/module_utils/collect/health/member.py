# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL connection that never waits beyond a deadline, and the member that it leads to."""

from __future__ import annotations

import json
import os
import select
import time
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Reading
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.slots import slots_of

#: One statement, so that all values belong together. A standby's timeline is the one that it receives, else the one
#: of its last restart point; a primary's is the one that it writes, since its control file lags behind a promotion.
READING = """
SELECT in_recovery,
       CASE WHEN in_recovery THEN coalesce(r.received_tli, (SELECT timeline_id FROM pg_control_checkpoint()))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
       CASE WHEN NOT in_recovery THEN pg_current_wal_lsn() END::text,
       pg_last_wal_receive_lsn()::text,
       CASE WHEN in_recovery THEN pg_last_wal_replay_lsn() END::text,
       coalesce(r.status = 'streaming', false),
       CASE WHEN in_recovery AND r.status = 'streaming'
            THEN greatest(pg_wal_lsn_diff(greatest(r.latest_end_lsn, r.flushed_lsn), pg_last_wal_replay_lsn()), 0)
       END::bigint
  FROM (SELECT pg_is_in_recovery() AS in_recovery) AS s
  LEFT JOIN pg_stat_wal_receiver AS r ON true
"""

SYSTEM_IDENTIFIER = "SELECT system_identifier::text FROM pg_control_system()"

Row = tuple[t.Any, ...]
T = t.TypeVar("T")


class LookFailed(UnknownError):
    """Something could not be looked at; the text says why, in words for people."""


class Line:
    """A PostgreSQL connection whose every step ends at a deadline, frozen server or not (libpq's asynchronous mode)."""

    def __init__(self, dsn: str, deadline: float) -> None:
        import psycopg2

        self._failures: tuple[type[Exception], ...] = (psycopg2.Error, OSError)
        try:
            self._connection = psycopg2.connect(dsn, async_=1)
            self._finish(deadline)
        except self._failures as error:
            raise LookFailed(_first_line(error)) from error

    def ask(self, sql: str, deadline: float) -> Row:
        """The only row of ``sql``."""
        rows = self.rows(sql, deadline)
        if len(rows) != 1:
            raise LookFailed(f"{len(rows)} rows where there should be one")
        return rows[0]

    def rows(self, sql: str, deadline: float) -> list[Row]:
        """All rows of ``sql``; none of a statement that has no result."""
        return self._answer(sql, deadline)[1]

    def named(self, sql: str, deadline: float) -> list[dict[str, t.Any]]:
        """All rows of ``sql``, each value by the name of its column."""
        columns, rows = self._answer(sql, deadline)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _answer(self, sql: str, deadline: float) -> tuple[list[str], list[Row]]:
        try:
            cursor = self._connection.cursor()
            cursor.execute(sql)
            self._finish(deadline)
            columns = [column[0] for column in cursor.description or ()]
            return columns, cursor.fetchall() if columns else []
        except self._failures as error:
            raise LookFailed(_first_line(error)) from error

    def close(self) -> None:
        self._connection.close()

    def _finish(self, deadline: float) -> None:
        while True:
            state = self._connection.poll()
            if state == 0:  # psycopg2.extensions.POLL_OK
                return
            left = deadline - time.monotonic()
            wanted = [self._connection.fileno()]
            ready = select.select(wanted if state == 1 else [], wanted if state == 2 else [], [], max(left, 0.0))
            if not any(ready):
                raise LookFailed("PostgreSQL gave no answer within the deadline")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class Lasting:
    """A line that stays open from one question to the next, and is opened again after a failure."""

    def __init__(self, dsn: t.Callable[[], str]) -> None:
        self._dsn = dsn
        self._line: Line | None = None

    @property
    def is_open(self) -> bool:
        return self._line is not None

    def line(self, deadline: float) -> Line:
        if self._line is None:
            self._line = Line(self._dsn(), deadline)
        return self._line

    def hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def asked(self, question: t.Callable[[Line], T], deadline: float) -> T:
        """What ``question`` returns, or :class:`LookFailed` within the deadline.

        A lost connection is made again once before it counts: after a restart PostgreSQL is seen by the next look,
        and somebody who ends the agent's session does not take a healthy primary out of service.
        """
        had_line = self.is_open
        try:
            return question(self.line(deadline))
        except LookFailed:
            self.hang_up()
            if not had_line or time.monotonic() >= deadline:
                raise
        try:
            return question(self.line(deadline))
        except LookFailed:
            self.hang_up()
            raise


class Descriptor:
    """The file that names this host's member; it is read at each connect, so a change needs no restart."""

    def __init__(self, path: str, user: str) -> None:
        self._path = path
        self._user = user

    def dsn(self, database: str = "postgres") -> str:
        return self._told(
            lambda member: (
                f"host={member['socket_dir']} port={int(member['port'])} dbname={database} user={self._user}"
                " application_name=resilience-health"
            )
        )

    def slots(self) -> list[str] | None:
        """The slots that the member has for other members and for receivers, where it is said who they are."""
        return self._told(lambda member: slots_of(member) if "peers" in member else None)

    def _told(self, read: t.Callable[[dict[str, t.Any]], T]) -> T:
        try:
            with open(self._path, encoding="utf-8") as stream:
                return read(json.load(stream))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LookFailed(f"{self._path} does not describe a member: {error!r}") from error


class Member:
    """The member on this host, as it is read many times a second."""

    def __init__(self, descriptor: Descriptor, fenced_marker: str, deadline: float) -> None:
        self._fenced_marker = fenced_marker
        self._deadline = deadline
        self._lasting = Lasting(descriptor.dsn)
        self._system_identifier: tuple[Line, str] | None = None

    def look(self) -> Reading:
        """A reading, or :class:`LookFailed` within the deadline."""
        deadline = time.monotonic() + self._deadline
        fenced = self._is_fenced()
        return self._lasting.asked(lambda line: self._read(line, deadline, fenced), deadline)

    def _read(self, line: Line, deadline: float, fenced: bool) -> Reading:
        if self._system_identifier is None or self._system_identifier[0] is not line:
            (identifier,) = line.ask(SYSTEM_IDENTIFIER, deadline)
            self._system_identifier = (line, identifier)
        in_recovery, timeline, current, receive, replay, streaming, lag = line.ask(READING, deadline)
        return Reading(
            in_recovery=in_recovery,
            timeline=timeline,
            current_lsn=current,
            receive_lsn=receive,
            replay_lsn=replay,
            streaming=streaming,
            lag_bytes=lag,
            system_identifier=self._system_identifier[1],
            fenced=fenced,
        )

    def _is_fenced(self) -> bool:
        try:
            os.stat(self._fenced_marker)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise LookFailed(f"cannot see whether this member is fenced: {error}") from error
        return True

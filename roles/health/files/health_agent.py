#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says over HTTP what this member is, as a load balancer asks it: /livez /readyz /primary /replica.

One thread looks at PostgreSQL over one lasting connection and keeps the last result. The handlers read that result
and its age and touch nothing else, so they answer at once while PostgreSQL is stopped, its storage is frozen, or all
its connection slots are taken. What is not known is never reported as good.

    Watcher (thread) --Result--> Health (WSGI application) --HTTP--> HAProxy, the WAL receiver, people
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import typing as t
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from urllib.parse import parse_qs

#: systemd hands over its listening sockets from this file descriptor on (sd_listen_fds(3)).
FIRST_INHERITED_SOCKET = 3

#: How long a member in trouble is looked at more often than at rest, in seconds: a promotion happens in this time.
QUICK_PERIOD = 30.0

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


@dataclass(frozen=True)
class Reading:
    """What PostgreSQL said. Lag is in bytes and known only while streaming; ``fenced`` is the marker on this host."""

    in_recovery: bool
    timeline: int | None
    current_lsn: str | None
    receive_lsn: str | None
    replay_lsn: str | None
    streaming: bool
    lag_bytes: int | None
    system_identifier: str
    fenced: bool


@dataclass(frozen=True)
class Result:
    """The last look: a reading, or why there is none. ``began``: monotonic clock, before anything was asked."""

    began: float
    seen_at: str
    reading: Reading | None
    error: str | None


class LookFailed(Exception):
    """PostgreSQL could not be looked at; the text says why, in words for people."""


# --- looking ---------------------------------------------------------------------------------------------------------


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

    def ask(self, sql: str, deadline: float) -> tuple[t.Any, ...]:
        """The only row of ``sql``."""
        try:
            cursor = self._connection.cursor()
            cursor.execute(sql)
            self._finish(deadline)
            row: tuple[t.Any, ...] = cursor.fetchone()
            return row
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


class Member:
    """The member that this host's descriptor names; it is read at each connect, so a change needs no restart."""

    def __init__(self, descriptor: str, fenced_marker: str, user: str, deadline: float) -> None:
        self._descriptor = descriptor
        self._fenced_marker = fenced_marker
        self._user = user
        self._deadline = deadline
        self._line: Line | None = None
        self._system_identifier = ""

    def look(self) -> Reading:
        """A reading, or :class:`LookFailed` within the deadline.

        A lost connection is made again once before it counts: after a restart PostgreSQL is seen by the next look,
        and somebody who ends the agent's session does not take a healthy primary out of service.
        """
        deadline = time.monotonic() + self._deadline
        fenced = self._is_fenced()
        had_line = self._line is not None
        try:
            return self._look(deadline, fenced)
        except LookFailed:
            self._hang_up()
            if not had_line or time.monotonic() >= deadline:
                raise
        try:
            return self._look(deadline, fenced)
        except LookFailed:
            self._hang_up()
            raise

    def _look(self, deadline: float, fenced: bool) -> Reading:
        if self._line is None:
            self._line = Line(self._dsn(), deadline)
            (self._system_identifier,) = self._line.ask(SYSTEM_IDENTIFIER, deadline)
        in_recovery, timeline, current, receive, replay, streaming, lag = self._line.ask(READING, deadline)
        return Reading(
            in_recovery=in_recovery,
            timeline=timeline,
            current_lsn=current,
            receive_lsn=receive,
            replay_lsn=replay,
            streaming=streaming,
            lag_bytes=lag,
            system_identifier=self._system_identifier,
            fenced=fenced,
        )

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _dsn(self) -> str:
        try:
            with open(self._descriptor, encoding="utf-8") as stream:
                member = json.load(stream)
            return (
                f"host={member['socket_dir']} port={int(member['port'])} dbname=postgres user={self._user}"
                " application_name=resilience-health"
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LookFailed(f"{self._descriptor} does not describe a member: {error!r}") from error

    def _is_fenced(self) -> bool:
        try:
            os.stat(self._fenced_marker)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise LookFailed(f"cannot see whether this member is fenced: {error}") from error
        return True


def pace(poll: float, trouble_for: float | None) -> float:
    """Seconds until the next look.

    At rest: ``poll``. While a standby has no sender, or PostgreSQL does not answer, a promotion or a start is likely
    and clients wait for it: four times as often. When that lasts, less often, since each try leaves a line in a
    starting PostgreSQL's log.
    """
    if trouble_for is None:
        return poll
    return poll / 4 if trouble_for < QUICK_PERIOD else poll * 2.5


class Watcher(threading.Thread):
    """Looks again and again and keeps the latest result, replaced as a whole (an assignment is atomic)."""

    def __init__(self, look: t.Callable[[], Reading], poll: float) -> None:
        super().__init__(name="watcher", daemon=True)
        self._look = look
        self._poll = poll
        self._stop = threading.Event()
        self._trouble_since: float | None = None
        self._said: str | None = None
        self.latest: Result | None = None
        self.looked = threading.Event()

    def run(self) -> None:
        while not self._stop.wait(self.step()):
            pass

    def stop(self) -> None:
        self._stop.set()

    def step(self) -> float:
        """One look; returns the seconds to wait before the next one."""
        began, seen_at = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        reading, error = None, None
        try:
            reading = self._look()
        except LookFailed as failure:
            error = str(failure)
        self.latest = Result(began, seen_at, reading, error)
        self.looked.set()
        self._tell(reading, error)
        calm = reading is not None and (reading.streaming or not reading.in_recovery)
        self._trouble_since = None if calm else (self._trouble_since or began)
        return pace(self._poll, None if self._trouble_since is None else began - self._trouble_since)

    def _tell(self, reading: Reading | None, error: str | None) -> None:
        """A line in the journal for each change, not for each look."""
        if reading is None:
            said = f"unknown: {error}"
        else:
            said = ("standby" if reading.in_recovery else "primary") + (", fenced" if reading.fenced else "")
        if said != self._said:
            self._said = said
            print(said, file=sys.stderr, flush=True)


# --- answering -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """``status`` is pass, warn or fail; pass and warn are HTTP 200, fail is 503."""

    status: str
    reason: str


def known(result: Result | None, age: float | None, stale_after: float) -> Verdict:
    """Is there a reading that may be relied upon?"""
    if result is None or age is None:
        return Verdict("fail", "unknown: PostgreSQL has not been looked at yet")
    if age > stale_after:
        return Verdict(
            "fail",
            f"unknown: the last look is {age:.2f} s old (limit {stale_after:g} s); PostgreSQL or its storage hangs",
        )
    if result.reading is None:
        return Verdict("fail", f"unknown: {result.error}")
    if result.reading.fenced:
        return Verdict("fail", "this member is fenced")
    return Verdict("pass", "PostgreSQL answers")


def ready(reading: Reading, _lag: int | None) -> Verdict:
    if reading.in_recovery and not reading.streaming:
        return Verdict("warn", "a standby that receives no stream: what it shows grows old")
    return Verdict("pass", "standby, streaming" if reading.in_recovery else "primary")


def primary(reading: Reading, _lag: int | None) -> Verdict:
    return Verdict("fail", "this member is a standby") if reading.in_recovery else Verdict("pass", "primary")


def replica(reading: Reading, lag: int | None) -> Verdict:
    """With a limit, an unknown lag is over it."""
    if not reading.in_recovery:
        return Verdict("fail", "this member is the primary")
    if lag is None:
        return ready(reading, None)
    if reading.lag_bytes is None:
        return Verdict("fail", "receives no stream, so its lag is unknown")
    if reading.lag_bytes > lag:
        return Verdict("fail", f"{reading.lag_bytes} bytes behind (limit {lag})")
    return Verdict("pass", f"{reading.lag_bytes} bytes behind (limit {lag})")


ENDPOINTS: dict[str, t.Callable[[Reading, int | None], Verdict]] = {
    "/readyz": ready,
    "/primary": primary,
    "/replica": replica,
}

METHODS = ("GET", "HEAD", "OPTIONS")


class Health:
    """The WSGI application. It reads the latest result and its age, and does nothing that could wait."""

    def __init__(
        self,
        latest: t.Callable[[], Result | None],
        stale_after: float,
        now: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest = latest
        self._stale_after = stale_after
        self._now = now

    def __call__(self, environ: dict[str, t.Any], start_response: t.Callable[..., t.Any]) -> list[bytes]:
        method = environ["REQUEST_METHOD"]
        code, body = self._answer(method, environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
        payload = (json.dumps(body) + "\n").encode()
        headers = [("Content-Type", "application/health+json"), ("Cache-Control", "no-store")]
        if code.startswith("405") or method == "OPTIONS":
            headers.append(("Allow", ", ".join(METHODS)))
        if method == "OPTIONS":
            payload = b""
        start_response(code, [*headers, ("Content-Length", str(len(payload)))])
        return [] if method == "HEAD" else [payload]

    def _answer(self, method: str, path: str, query: str) -> tuple[str, dict[str, t.Any]]:
        if method not in METHODS:
            return "405 Method Not Allowed", {"status": "fail", "output": f"possible methods: {', '.join(METHODS)}"}
        if path == "/livez":
            return "200 OK", {"status": "pass", "output": "the agent runs"}
        if path not in ENDPOINTS:
            possible = ", ".join(["/livez", *ENDPOINTS])
            return "404 Not Found", {"status": "fail", "output": f"possible paths: {possible}"}
        try:
            lag = _lag(query)
        except ValueError as error:
            return "400 Bad Request", {"status": "fail", "output": str(error)}
        return self._judge(ENDPOINTS[path], lag)

    def _judge(
        self, judge: t.Callable[[Reading, int | None], Verdict], lag: int | None
    ) -> tuple[str, dict[str, t.Any]]:
        result = self._latest()
        age = None if result is None else max(0.0, self._now() - result.began)
        verdict = known(result, age, self._stale_after)
        reading = None if result is None else result.reading
        if verdict.status != "fail" and reading is not None:
            verdict = judge(reading, lag)
        check: dict[str, t.Any] = {"componentType": "datastore", "status": verdict.status, "output": verdict.reason}
        if result is not None and age is not None:
            check.update(observedValue=round(age, 3), observedUnit="s", time=result.seen_at)
        body: dict[str, t.Any] = {
            "status": verdict.status,
            "output": verdict.reason,
            "checks": {"postgresql:age": [check]},
        }
        if reading is not None:
            body["reading"] = asdict(reading)
        return ("503 Service Unavailable" if verdict.status == "fail" else "200 OK"), body


def _lag(query: str) -> int | None:
    """The limit in bytes of ``?lag=``, if there is one."""
    values = parse_qs(query, keep_blank_values=True).get("lag")
    if values is None:
        return None
    if not values[-1].isascii() or not values[-1].isdigit():
        raise ValueError(f"lag is a number of bytes, such as lag=16777216; given: {values[-1]!r}")
    return int(values[-1])


# --- running ---------------------------------------------------------------------------------------------------------


def listening_socket(port: int, environ: t.Mapping[str, str]) -> socket.socket:
    """The socket that systemd holds open over restarts of this program, or an own one where it was started by hand."""
    if environ.get("LISTEN_PID") == str(os.getpid()) and environ.get("LISTEN_FDS") == "1":
        return socket.socket(fileno=FIRST_INHERITED_SOCKET)
    return socket.create_server(("127.0.0.1", port))


def main(argv: t.Sequence[str] | None = None) -> int:
    import waitress

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--descriptor", default="/etc/fraiseql-resilience/member.json")
    parser.add_argument("--fenced-marker", default="/var/lib/fraiseql-resilience/fenced")
    parser.add_argument("--user", default="postgres", help="role that looks, let in by peer authentication")
    parser.add_argument("--poll", type=float, default=0.1, help="seconds between looks at rest")
    parser.add_argument("--stale-after", type=float, default=1.0, help="seconds after which a result counts as unknown")
    parser.add_argument("--port", type=int, default=8008, help="on loopback; used only without socket activation")
    given = parser.parse_args(argv)

    member = Member(given.descriptor, given.fenced_marker, given.user, deadline=given.stale_after * 0.8)
    watcher = Watcher(member.look, given.poll)
    server = waitress.create_server(
        Health(lambda: watcher.latest, given.stale_after),
        sockets=[listening_socket(given.port, os.environ)],
        threads=4,
        ident=None,
        channel_timeout=10,
        connection_limit=500,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    watcher.start()
    # Whoever asks meanwhile waits in the socket's queue: a restart must not make a healthy primary unknown.
    watcher.looked.wait(given.stale_after)
    try:
        server.run()
    finally:
        watcher.stop()
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

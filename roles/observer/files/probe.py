#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit rows through the gateway as a client does, and write down what became of each.

    supervisor ── one process; keeps the ledger, watches for outages, kills what is stuck
      ├── client 0 ─┐
      ├── client 1 ─┤ one process each, one connection each; one INSERT an interval, or in turn while refused
      └── …        ─┘

A client reports an attempt through a pipe and begins the next one only after the supervisor has the line on disk.
What a client is doing lies in memory that it shares with the supervisor, so that an attempt whose client had to be
killed is in the ledger too, as ``unknown``. Every time is CLOCK_MONOTONIC of this host, in nanoseconds.

Ledger (JSON lines), in this order:
    {"type": "header", "version", "run", "name", "clients", "interval_seconds", "attempt_deadline_seconds", "begin_ns",
     "boot_id", "utc", "realtime_minus_monotonic_ns", "versions", "gateway"}
    {"client", "seq", "begin_ns", "end_ns", "outcome", "server", "timeline", "lsn", "error"}      one an attempt
    {"type": "outage", "t1_ns", "t2_ns", "t3_ns", "rule"}        when the outage was detected
    {"type": "recovered", "t1_ns", "t7_ns", "t8_ns"}             when every client commits again
    {"type": "stall", "begin_ns", "end_ns"}                      this host gave the supervisor no time
    {"type": "footer", "reason", "attempts", "end_ns", "utc", "realtime_minus_monotonic_ns"}
A ledger without footer stopped early. Outcomes: ``acked``; ``acked_unsafe`` (acknowledged, but the wait for the
standby was cancelled or never asked for); ``failed`` (certainly not committed); ``unknown`` (sent, no answer).
``lsn`` is the insert position inside the statement: its commit record begins there or later.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import platform
import select
import selectors
import signal
import struct
import sys
import time
import typing as t
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import psycopg2

LEDGER_VERSION = 1
INSERT = """
INSERT INTO resilience.probe (run, client, seq) VALUES (%s, %s, %s)
RETURNING pg_current_wal_insert_lsn()::text, host(inet_server_addr()),
          left(pg_walfile_name(pg_current_wal_lsn()), 8), current_setting('synchronous_commit')
"""
#: The longest that the supervisor sleeps, in seconds: how late a stuck client may be killed.
TICK = 0.1
#: A tick that comes later than this, in seconds, is written down: the host stood still, not the service.
STALL = 0.5
STATUS_EVERY = 0.5
NANO = 1_000_000_000
#: Answers that leave open whether the transaction was committed: connection trouble (also as the pooler words it),
#: a server that goes down (a wait for a standby ends so *after* the local commit), system and internal errors.
OPEN_CLASSES = ("08", "58", "XX")
OPEN_STATES = ("57P01", "57P02", "57P03", "57P05")
PR_SET_PDEATHSIG = 1


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def utc() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def clock_offset_ns() -> int:
    """CLOCK_REALTIME minus CLOCK_MONOTONIC: it moves only when somebody sets the wall clock."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME) - now_ns()


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


@dataclass(frozen=True)
class Settings:
    """What one run is asked to do; see the module recovery_probe for each meaning."""

    name: str
    ledger_dir: Path
    status: Path
    connection: dict[str, t.Any]
    run: str = field(default_factory=lambda: str(uuid.uuid4()))
    clients: int = 4
    interval_seconds: float = 0.05
    attempt_deadline_seconds: float = 3.0
    detect_after_seconds: float = 1.0
    detect_attempts: int = 3
    detect_errors: int = 5
    stall_after_seconds: float = 2.0
    max_seconds: float = 7200.0

    @classmethod
    def read(cls, path: Path) -> Settings:
        given = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**given, "ledger_dir": Path(given["ledger_dir"]), "status": Path(given["status"])})


class Slot:
    """What one client is doing, in memory shared between it and the supervisor."""

    FORMAT = struct.Struct("<qqq")  # seq, begin_ns, sent (0 or 1)

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self.FORMAT.size)

    def begin(self, seq: int, begin_ns: int) -> None:
        # seq is written last and read first: whoever sees the new seq sees its begin too.
        struct.pack_into("<qq", self._memory, 8, begin_ns, 0)
        struct.pack_into("<q", self._memory, 0, seq)

    def sent(self) -> None:
        struct.pack_into("<q", self._memory, 16, 1)

    def read(self) -> tuple[int, int, bool]:
        """(seq, begin_ns, sent) of the client's newest attempt."""
        seq, begin_ns, sent = self.FORMAT.unpack_from(self._memory, 0)
        return seq, begin_ns, bool(sent)


# --- a client ---------------------------------------------------------------------------------------------------------


def short(error: BaseException) -> str:
    """An error on one short line: SQLSTATE, if there is one, and the first line of the message."""
    state = getattr(error, "pgcode", None) or type(error).__name__
    lines = str(error).strip().splitlines() or [""]
    return f"{state} {lines[0]}"[:160]


def outcome_of(error: psycopg2.Error) -> str:
    """``failed`` only if the server said for certain that a statement which was sent is not committed."""
    state = error.pgcode
    if not state or state[:2] in OPEN_CLASSES or state in OPEN_STATES:
        return "unknown"
    return "failed"


class Client:
    """One connection, one attempt an interval. Lives in a process of its own."""

    def __init__(self, number: int, settings: Settings, slot: Slot, reports: int, orders: int) -> None:
        self.number = number
        self.settings = settings
        self.slot = slot
        self.reports = reports
        self.orders = orders
        self.connection: t.Any = None

    def work(self, seq: int, first_ns: int) -> None:
        """Attempt, report, wait for the ledger, wait for the interval; until the supervisor says stop."""
        interval = int(self.settings.interval_seconds * NANO)
        due = first_ns
        while self._sleep_until(due):
            seq += 1
            record = self.attempt(seq)
            os.write(self.reports, (json.dumps(record, separators=(",", ":")) + "\n").encode())
            if os.read(self.orders, 1) != b"+":
                return
            acked = record["outcome"].startswith("acked")
            due = max(due + interval, now_ns()) if acked else self.turn(now_ns(), interval)

    def turn(self, now: int, interval: int) -> int:
        """When this client tries again after it was refused: one of them an interval, in turn.

        The first that gets through is found as soon as before, and what recovers has its host to itself: a new
        connection costs both sides far more than a commit.
        """
        slot = now // interval + 1
        return (slot + (self.number - slot) % self.settings.clients) * interval

    def _sleep_until(self, due_ns: int) -> bool:
        """Sleep; ``False`` as soon as the supervisor says stop (any order while no report is open) or is gone."""
        left = max(0.0, (due_ns - now_ns()) / NANO)
        return not select.select([self.orders], [], [], left)[0]

    def attempt(self, seq: int) -> dict[str, t.Any]:
        record: dict[str, t.Any] = {"client": self.number, "seq": seq, "begin_ns": now_ns()}
        self.slot.begin(seq, record["begin_ns"])
        answer = self._try(seq)
        return {**record, "end_ns": now_ns(), **answer}

    def _try(self, seq: int) -> dict[str, t.Any]:
        try:
            if self.connection is None or self.connection.closed:
                self.connection = psycopg2.connect(**self.settings.connection)
                self.connection.autocommit = True
        except psycopg2.Error as error:
            return self._no("failed", error)
        self.slot.sent()
        try:
            del self.connection.notices[:]
            with self.connection.cursor() as cursor:
                cursor.execute(INSERT, (self.settings.run, self.number, seq))
                lsn, server, timeline, synchronous_commit = cursor.fetchone()
        except psycopg2.Error as error:
            answer = self._no(outcome_of(error), error)
            self._hang_up(error)
            return answer
        warning = self._warning(synchronous_commit)
        return {
            "outcome": "acked_unsafe" if warning else "acked",
            "server": server,
            "timeline": int(timeline, 16),
            "lsn": lsn,
            "error": warning,
        }

    def _warning(self, synchronous_commit: str) -> str | None:
        """Why an acknowledged commit is not safe. This INSERT has no reason for a notice of any kind (the server's
        language may be any), but a wait for a standby that was cancelled ends in one."""
        if self.connection.notices:
            return str(self.connection.notices[-1]).strip().splitlines()[0][:160]
        if synchronous_commit in ("off", "local"):
            return f"synchronous_commit = {synchronous_commit}"
        return None

    @staticmethod
    def _no(outcome: str, error: BaseException) -> dict[str, t.Any]:
        return {"outcome": outcome, "server": None, "timeline": None, "lsn": None, "error": short(error)}

    def _hang_up(self, error: psycopg2.Error) -> None:
        """Leave a connection that is lost, or that leads to a server which takes no writes."""
        state = error.pgcode or ""
        if outcome_of(error) == "unknown" or state == "25006":
            try:
                self.connection.close()
            except psycopg2.Error:
                pass
            self.connection = None


# --- the supervisor ---------------------------------------------------------------------------------------------------


class OutageWatch:
    """Decides from the stream of outcomes when an outage has begun (T3) and when it is over (T7, T8)."""

    def __init__(self, settings: Settings) -> None:
        self._silence = int(settings.detect_after_seconds * NANO)
        self._stall = int(settings.stall_after_seconds * NANO)
        self._attempts = settings.detect_attempts
        self._errors = settings.detect_errors
        self._clients = settings.clients
        self._in_a_row = dict.fromkeys(range(settings.clients), 0)
        self._unacked = 0
        self._back: dict[int, int] = {}
        self.acked_ns: list[int | None] = [None] * settings.clients
        self.last_ack_ns: int | None = None
        self.first_failure_ns: int | None = None
        self.outages: list[dict[str, t.Any]] = []

    @property
    def open(self) -> dict[str, t.Any] | None:
        """The outage that is not over yet."""
        return self.outages[-1] if self.outages and self.outages[-1]["t8_ns"] is None else None

    def result(self, client: int, outcome: str, end_ns: int) -> dict[str, t.Any] | None:
        """Take note of one attempt; the outage, if this attempt ended it."""
        if not outcome.startswith("acked"):
            self._in_a_row[client] = self._in_a_row[client] + 1 if outcome == "failed" else 0
            self._unacked += 1
            if self.first_failure_ns is None:
                self.first_failure_ns = end_ns
            return None
        self.acked_ns[client] = end_ns
        self.last_ack_ns = max(self.last_ack_ns or 0, end_ns)
        self.first_failure_ns = None
        self._in_a_row = dict.fromkeys(self._in_a_row, 0)
        self._unacked = 0
        return self._acked_in_outage(client, end_ns)

    def _acked_in_outage(self, client: int, end_ns: int) -> dict[str, t.Any] | None:
        outage = self.open
        if outage is None:
            return None
        # Clients report in any order, so whoever is heard first was not necessarily first.
        self._back.setdefault(client, end_ns)
        outage["t7_ns"] = min(self._back.values())
        if len(self._back) < self._clients:
            return None
        outage["t8_ns"] = max(self._back.values())
        return outage

    def tick(self, at_ns: int, pending_since: t.Sequence[int]) -> dict[str, t.Any] | None:
        """The outage, if a rule says that one has begun. ``pending_since``: begin of each attempt under way."""
        if self.open is not None or self.last_ack_ns is None:
            return None
        rule = self._rule(at_ns, pending_since)
        if rule is None:
            return None
        self._back = {}
        self.outages.append({
            "t1_ns": self.last_ack_ns, "t2_ns": self.first_failure_ns, "t3_ns": at_ns, "rule": rule,
            "t7_ns": None, "t8_ns": None,
        })  # fmt: skip
        return self.outages[-1]

    def _rule(self, at_ns: int, pending_since: t.Sequence[int]) -> str | None:
        if all(count >= self._errors for count in self._in_a_row.values()):
            return "errors"
        stuck = sum(1 for begin_ns in pending_since if at_ns - begin_ns >= self._stall)
        if at_ns - t.cast(int, self.last_ack_ns) >= self._silence and self._unacked + stuck >= self._attempts:
            return "silence"
        return None

    def seconds_to_decide(self, at_ns: int) -> float:
        """When the next look is worth while."""
        if self.open is not None or self.last_ack_ns is None:
            return TICK
        return max(0.001, (self.last_ack_ns + self._silence - at_ns) / NANO)


class Ledger:
    """The file. A line counts as written once :meth:`write` has returned."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)

    def write(self, records: t.Iterable[dict[str, t.Any]]) -> None:
        data = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records).encode()
        while data:
            data = data[os.write(self._file, data) :]
        os.fdatasync(self._file)


@dataclass
class Child:
    """The supervisor's side of one client."""

    number: int
    slot: Slot
    pid: int = 0
    reports: int = -1
    orders: int = -1
    buffer: bytes = b""
    reported: int = 0
    seen_ns: int = 0
    waits: bool = False

    def pending_since(self) -> int | None:
        """When the attempt under way began; ``None`` between two attempts."""
        seq, begin_ns = self.slot.read()[:2]
        return begin_ns if seq > self.reported else None

    def order(self, what: bytes) -> None:
        try:
            os.write(self.orders, what)
        except BrokenPipeError:
            pass  # it died; its end of the reports pipe says so, too


class Supervisor:
    """Starts, watches and replaces the clients, and is the only writer of the ledger."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.watch = OutageWatch(settings)
        self.ledger = Ledger(settings.ledger_dir / f"{settings.run}.jsonl")
        self.children = [Child(number, Slot()) for number in range(settings.clients)]
        self.selector = selectors.DefaultSelector()
        self.counts = dict.fromkeys(("acked", "acked_unsafe", "failed", "unknown"), 0)
        self.last_error: str | None = None
        self.stop_reason: str | None = None
        self.begin_ns = now_ns()
        self._status_due = 0
        self._turn_ns = self.begin_ns

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._asked_to_stop)
        signal.signal(signal.SIGINT, self._asked_to_stop)
        self.ledger.write([self._header()])
        step = int(self.settings.interval_seconds * NANO / self.settings.clients)
        for child in self.children:
            self._start(child, now_ns() + child.number * step)
        while self.stop_reason is None:
            self._turn()
            if now_ns() - self.begin_ns > self.settings.max_seconds * NANO:
                self.stop_reason = "expired"
        self._finish()

    def _asked_to_stop(self, *_signal: object) -> None:
        self.stop_reason = "asked"

    def _turn(self) -> None:
        """One round: what clients reported, is there an outage, who is stuck, the status file."""
        begin_ns = now_ns()
        late = begin_ns - self._turn_ns > (TICK + STALL) * NANO
        stalls = [{"type": "stall", "begin_ns": self._turn_ns, "end_ns": begin_ns}] if late else []
        self._turn_ns = begin_ns
        self.selector.select(min(TICK, self.watch.seconds_to_decide(begin_ns)))
        looked_ns = now_ns()
        # In this order: what came before that moment is read.
        self._take([one[0].data for one in self.selector.select(0)], stalls)
        outage = self._look_for_an_outage(begin_ns, looked_ns)
        self._kill_the_stuck()
        if outage is not None:
            self.ledger.write([{"type": "outage", **{key: outage[key] for key in ("t1_ns", "t2_ns", "t3_ns", "rule")}}])
        if outage is not None or now_ns() >= self._status_due:
            self._tell("running")

    def _look_for_an_outage(self, turn_ns: int, looked_ns: int) -> dict[str, t.Any] | None:
        """Judge what was read, as of then: while the ledger's disk takes its time, a client may get through, and the
        outage would be detected after its end. Had this process stood still before, older reports would lie unread,
        too."""
        return self.watch.tick(looked_ns, self._pending()) if looked_ns - turn_ns < (TICK + STALL) * NANO else None

    def _pending(self) -> list[int]:
        return [begin_ns for child in self.children if (begin_ns := child.pending_since()) is not None]

    def _take(self, children: t.Iterable[Child], first: t.Iterable[dict[str, t.Any]] = ()) -> None:
        """Write down what these clients reported, all with one sync, and only then let them go on."""
        records = list(first)
        gone = []
        for child in children:
            chunk = os.read(child.reports, 65536)
            if not chunk:
                gone.append(child)
                continue
            child.buffer += chunk
            *lines, child.buffer = child.buffer.split(b"\n")
            for line in lines:
                records += self._note(child, json.loads(line))
        if records:
            self.ledger.write(records)
        for child in self.children:
            if child.waits:
                child.waits = False
                child.order(b"+")
        if any(record.get("type") == "recovered" for record in records):
            self._tell("running")
        for child in gone:
            self._replace(child)

    def _note(self, child: Child, record: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        """Count one attempt; the ledger's lines for it."""
        child.reported = record["seq"]
        child.seen_ns = now_ns()
        child.waits = True
        self.counts[record["outcome"]] += 1
        if record["error"]:
            self.last_error = record["error"]
        outage = self.watch.result(child.number, record["outcome"], record["end_ns"])
        if outage is None:
            return [record]
        return [record, {"type": "recovered", **{key: outage[key] for key in ("t1_ns", "t7_ns", "t8_ns")}}]

    def _kill_the_stuck(self) -> None:
        """A client is stuck if its attempt is over its deadline, or if it is as long without having begun one."""
        limit = self.settings.attempt_deadline_seconds * NANO
        idle_limit = limit + self.settings.interval_seconds * NANO
        for child in self.children:
            if not child.pid:
                continue
            begin_ns = child.pending_since()
            stuck = now_ns() - child.seen_ns > idle_limit if begin_ns is None else now_ns() - begin_ns > limit
            if stuck:
                os.kill(child.pid, signal.SIGKILL)
                self._replace(child)

    def _start(self, child: Child, first_ns: int) -> None:
        """Fork a client that goes on where the last one of this number ended."""
        reports_read, reports_write = os.pipe()
        orders_read, orders_write = os.pipe()
        seq = child.slot.read()[0]
        child.seen_ns = first_ns
        supervisor = os.getpid()
        child.pid = os.fork()
        if child.pid == 0:
            self._be_client(child, seq, first_ns, reports_write, orders_read, supervisor)
        os.close(reports_write)
        os.close(orders_read)
        child.reports, child.orders, child.buffer, child.waits = reports_read, orders_write, b"", False
        self.selector.register(reports_read, selectors.EVENT_READ, child)

    def _be_client(
        self, child: Child, seq: int, first_ns: int, reports: int, orders: int, supervisor: int
    ) -> t.NoReturn:
        """The client's process from fork to exit; it never returns into the supervisor's code."""
        status = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(1)
            keep = {0, 1, 2, reports, orders}
            highest = max(keep)
            for fd in range(3, highest):
                if fd not in keep:
                    try:
                        os.close(fd)
                    except OSError:
                        pass
            os.closerange(highest + 1, 1024)
            Client(child.number, self.settings, child.slot, reports, orders).work(seq, first_ns)
            status = 0
        finally:
            os._exit(status)

    def _replace(self, child: Child) -> None:
        """Bury a client that died or was killed, write down the attempt it died in, and start the next one."""
        record = self._bury(child)
        if record is not None:
            lines = self._note(child, record)
            child.waits = False
            self.ledger.write(lines)
            if len(lines) > 1:
                self._tell("running")
        if self.stop_reason is None:
            self._start(child, now_ns() + int(self.settings.interval_seconds * NANO))

    def _bury(self, child: Child) -> dict[str, t.Any] | None:
        """The record of the attempt that the client left unfinished, if any."""
        status = os.waitpid(child.pid, 0)[1]
        self.selector.unregister(child.reports)
        # What it reported before it died is in the pipe still.
        while chunk := os.read(child.reports, 65536):
            child.buffer += chunk
        os.close(child.reports)
        os.close(child.orders)
        line, newline = child.buffer.partition(b"\n")[:2]
        child.pid, child.buffer = 0, b""
        if newline:
            return t.cast("dict[str, t.Any]", json.loads(line))
        seq, begin_ns, sent = child.slot.read()
        if seq <= child.reported:
            return None
        why = f"client process ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "client ended"
        end_ns = now_ns()
        if end_ns - begin_ns > self.settings.attempt_deadline_seconds * NANO:
            why = f"no answer within {self.settings.attempt_deadline_seconds:g} s"
        return {
            "client": child.number, "seq": seq, "begin_ns": begin_ns, "end_ns": end_ns,
            "outcome": "unknown" if sent else "failed",
            "server": None, "timeline": None, "lsn": None, "error": why if sent else f"{why}, not sent yet",
        }  # fmt: skip

    def _finish(self) -> None:
        """Let each client end its attempt (at most its deadline), then write the footer."""
        for child in self.children:
            child.order(b"-")
        give_up = now_ns() + int((self.settings.attempt_deadline_seconds + 1) * NANO)
        while any(child.pid for child in self.children):
            ready = [one[0].data for one in self.selector.select(TICK)]
            self._take(ready)
            if now_ns() > give_up:
                for child in self.children:
                    if child.pid:
                        os.kill(child.pid, signal.SIGKILL)
            self._kill_the_stuck()
        self.ledger.write(
            [
                {
                    "type": "footer",
                    "reason": self.stop_reason,
                    "attempts": sum(self.counts.values()),
                    "end_ns": now_ns(),
                    "utc": utc(),
                    "realtime_minus_monotonic_ns": clock_offset_ns(),
                }
            ]
        )
        self._tell("stopped")

    def _header(self) -> dict[str, t.Any]:
        settings = self.settings
        return {
            "type": "header",
            "version": LEDGER_VERSION,
            "run": settings.run,
            "name": settings.name,
            "clients": settings.clients,
            "interval_seconds": settings.interval_seconds,
            "attempt_deadline_seconds": settings.attempt_deadline_seconds,
            "begin_ns": self.begin_ns,
            "boot_id": boot_id(),
            "utc": utc(),
            "realtime_minus_monotonic_ns": clock_offset_ns(),
            "versions": {
                "python": platform.python_version(),
                "psycopg2": psycopg2.__version__.split()[0],
                "libpq": psycopg2.__libpq_version__,
            },
            "gateway": {key: settings.connection.get(key) for key in ("host", "port", "dbname", "sslmode")},
        }

    def _tell(self, state: str) -> None:
        """Replace the status file at once and whole; who waits for an outage reads it."""
        self._status_due = now_ns() + int(STATUS_EVERY * NANO)
        status = {
            "state": state,
            "reason": self.stop_reason if state == "stopped" else None,
            "run": self.settings.run,
            "name": self.settings.name,
            "pid": os.getpid(),
            "boot_id": boot_id(),
            "begin_ns": self.begin_ns,
            "updated_ns": now_ns(),
            "interval_seconds": self.settings.interval_seconds,
            "clients": self.settings.clients,
            "outcomes": self.counts,
            "acked_ns": self.watch.acked_ns,
            "last_ack_ns": self.watch.last_ack_ns,
            "last_error": self.last_error,
            "outages": self.watch.outages,
            "ledger": str(self.ledger.path),
        }
        path = self.settings.status
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(json.dumps(status), encoding="utf-8")
        fresh.replace(path)


def main(argv: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Commit rows through the gateway and keep a ledger of them.")
    parser.add_argument("config", type=Path, help="JSON file with the settings of the run")
    settings = Settings.read(parser.parse_args(argv).config)
    try:
        Supervisor(settings).run()
    except FileExistsError:
        print(f"there is a ledger of run {settings.run} already; a run is never continued", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

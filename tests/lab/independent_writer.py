#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second witness of an outage: it writes through the gateway on its own and tells its longest gap between commits.

It shares no code with the probe, so that `make bench` can hold the RTO that the probe reports against it. One
non-blocking connection; what is not answered within a second is given up and tried again on a new connection.

    independent_writer.py DSN SECONDS [INTERVAL]

DSN is a libpq connection string; the user needs a schema `resilience` in which it may create a table. Each commit's
moment (CLOCK_MONOTONIC, seconds) goes to stdout; after SECONDS or a SIGTERM one line of JSON ends it:
{"commits", "errors", "longest_gap_seconds", "gap_begin", "gap_end"}.
"""

from __future__ import annotations

import json
import select
import signal
import sys
import time

import psycopg2

PATIENCE = 1.0


def settle(connection: psycopg2.extensions.connection) -> None:
    """Drive the connection until it is idle, or raise after PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        reading = [connection] if state == psycopg2.extensions.POLL_READ else []
        writing = [connection] if state == psycopg2.extensions.POLL_WRITE else []
        if not any(select.select(reading, writing, [], max(0.0, end - time.monotonic()))):
            raise psycopg2.OperationalError("no answer")


class Writer:
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.connection: psycopg2.extensions.connection | None = None
        self.moments: list[float] = []
        self.errors = 0

    def say(self, statement: str) -> None:
        if self.connection is None:
            self.connection = psycopg2.connect(self.dsn, async_=True)
            settle(self.connection)
        cursor = self.connection.cursor()  # psycopg2 loses the answer if nobody holds the cursor
        cursor.execute(statement)
        settle(self.connection)

    def attempt(self, statement: str) -> bool:
        try:
            self.say(statement)
        except psycopg2.Error:
            self.errors += 1
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return False
        return True

    def write(self, seconds: float, interval: float) -> None:
        self.attempt("CREATE TABLE IF NOT EXISTS resilience.witness (at double precision)")
        end = time.monotonic() + seconds
        while (begin := time.monotonic()) < end:
            if self.attempt(f"INSERT INTO resilience.witness VALUES ({begin!r})"):
                self.moments.append(time.monotonic())
                print(f"{self.moments[-1]:.6f}")
            time.sleep(max(0.0, begin + interval - time.monotonic()))

    def testimony(self) -> dict[str, float | int | None]:
        gaps = [(after - before, before) for before, after in zip(self.moments, self.moments[1:], strict=False)]
        length, begin = max(gaps, default=(None, None))
        return {
            "commits": len(self.moments),
            "errors": self.errors,
            "longest_gap_seconds": length,
            "gap_begin": begin,
            "gap_end": None if begin is None or length is None else begin + length,
        }


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def main(dsn: str, seconds: str, interval: str = "0.01") -> int:
    signal.signal(signal.SIGTERM, stop)
    writer = Writer(dsn)
    try:
        writer.write(float(seconds), float(interval))
    except KeyboardInterrupt:
        pass
    print(json.dumps(writer.testimony()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

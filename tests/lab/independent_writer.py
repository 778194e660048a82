#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second witness of an outage: it writes through the gateway on its own and says when each commit was acknowledged.

It shares no code with the probe, so that `make bench` can hold the RTO that the probe reports against it. One
non-blocking connection; what is not answered within PATIENCE seconds is given up and tried again on a new connection.

    independent_writer.py DSN SECONDS [INTERVAL [PATIENCE]]

DSN is a libpq connection string; the user needs a schema `resilience` in which it may create a table. One line an
attempt: when it ended (CLOCK_MONOTONIC, seconds), `acked` or `failed`, and the number of its row. It ends after
SECONDS, or once nobody reads its lines any more.
"""

from __future__ import annotations

import select
import sys
import time

import psycopg2


class Writer:
    def __init__(self, dsn: str, patience: float) -> None:
        self.dsn = dsn
        self.patience = patience
        self.connection: psycopg2.extensions.connection | None = None

    def settle(self, connection: psycopg2.extensions.connection) -> None:
        """Drive the connection until it is idle, or raise when patience ends."""
        end = time.monotonic() + self.patience
        while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
            reading = [connection] if state == psycopg2.extensions.POLL_READ else []
            writing = [connection] if state == psycopg2.extensions.POLL_WRITE else []
            if not any(select.select(reading, writing, [], max(0.0, end - time.monotonic()))):
                raise psycopg2.OperationalError("no answer")

    def say(self, statement: str) -> None:
        if self.connection is None:
            self.connection = psycopg2.connect(self.dsn, async_=True)
            self.settle(self.connection)
        cursor = self.connection.cursor()  # psycopg2 loses the answer if nobody holds the cursor
        cursor.execute(statement)
        self.settle(self.connection)

    def attempt(self, statement: str) -> bool:
        try:
            self.say(statement)
        except psycopg2.Error:
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return False
        return True

    def make_table(self, seconds: float = 30) -> bool:
        """A new one. It is tried again, for on a busy host it may take longer than PATIENCE, and harms nothing yet."""
        end = time.monotonic() + seconds
        while not (
            self.attempt("DROP TABLE IF EXISTS resilience.witness")
            and self.attempt("CREATE TABLE resilience.witness (number int)")
        ):
            if time.monotonic() > end:
                return False
            time.sleep(0.5)
        return True

    def write(self, seconds: float, interval: float) -> None:
        end, number = time.monotonic() + seconds, 0
        while (begin := time.monotonic()) < end:
            number += 1
            acked = self.attempt(f"INSERT INTO resilience.witness VALUES ({number})")
            print(f"{time.monotonic():.6f} {'acked' if acked else 'failed'} {number}", flush=True)
            time.sleep(max(0.0, begin + interval - time.monotonic()))


def main(dsn: str, seconds: str, interval: str = "0.01", patience: str = "1") -> int:
    writer = Writer(dsn, float(patience))
    if not writer.make_table():
        print("the table resilience.witness cannot be made", file=sys.stderr)
        return 1
    try:
        writer.write(float(seconds), float(interval))
    except BrokenPipeError:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database for tests of the probe: what psycopg2 is to it, in a folder of files.

The folder is in FAKE_DATABASE. ``mood`` says what the database does: ack, unsafe, not waited for, refuse, lost, hang,
or a SQLSTATE.
``rows`` holds a line for each committed row. ``hangs-<process id>`` is there once that client hangs.
``broken_promises`` is written when an attempt begins although the one before it is not in the ledger.
"""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

__version__ = "2.9.0 (fake)"
__libpq_version__ = 150000


class Error(Exception):
    pgcode: str | None = None


class OperationalError(Error):
    pass


def _folder() -> Path:
    return Path(os.environ["FAKE_DATABASE"])


def _mood() -> str:
    return (_folder() / "mood").read_text().strip()


def _fail(message: str, state: str | None = None) -> t.NoReturn:
    error = OperationalError(message)
    error.pgcode = state
    raise error


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, _statement: str, values: tuple[str, int, int]) -> None:
        run, client, seq = values
        self._promise(run, client, seq)
        mood = _mood()
        if mood == "hang":
            (_folder() / f"hangs-{os.getpid()}").touch()
        while mood == "hang":
            time.sleep(0.01)
            mood = _mood()
        if mood in ("lost", "refuse"):
            _fail("server closed the connection unexpectedly\n\tThis probably means that it ended.")
        if len(mood) == 5:
            _fail("the server says no", mood)
        if mood == "unsafe":
            self._connection.notices.append(
                "WARNING:  canceling wait for synchronous replication due to user request\n"
            )
        self._row = ("0/%X" % (seq * 16 + 16), "198.18.1.11", "00000001", "local" if mood == "not waited for" else "on")
        with (_folder() / "rows").open("a") as rows:
            rows.write(f"{client} {seq}\n")

    def fetchone(self) -> tuple[str, ...]:
        return self._row

    @staticmethod
    def _promise(run: str, client: int, seq: int) -> None:
        if seq > 1 and f'{{"client":{client},"seq":{seq - 1},' not in (_folder() / f"{run}.jsonl").read_text():
            (_folder() / "broken_promises").write_text(f"{client} {seq}\n")


class Connection:
    def __init__(self) -> None:
        self.autocommit = False
        self.closed = 0
        self.notices: list[str] = []

    def cursor(self) -> Cursor:
        return Cursor(self)

    def close(self) -> None:
        self.closed = 1


def connect(**_parameters: t.Any) -> Connection:
    if _mood() == "refuse":
        _fail('connection to server at "gateway" failed: Connection refused')
    return Connection()

#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops this primary as soon as the gateway says that it holds the clients, and leaves it ready to start as a standby.

    armed ──NOTIFY resilience_switchover with the token──> stopped
      ├── deadline ──> expired
      └── told to stop ──> disarmed

Until the word comes, nothing is changed.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import time
import typing as t
from pathlib import Path

import psycopg2
from armed_state import State, Told, raise_when_told

STATE = "/var/lib/fraiseql-resilience/demotion.json"
DESCRIPTOR = "/etc/fraiseql-resilience/member.json"
CHANNEL = "resilience_switchover"
POLL_SECONDS = 0.01
#: Seconds that a fast shutdown may take; the shutdown checkpoint is most of it.
STOP_SECONDS = 120


def main() -> int:
    parser = argparse.ArgumentParser(description="Stop this primary once the gateway holds its clients.")
    parser.add_argument("--token", required=True, help="the word to wait for")
    parser.add_argument("--deadline", type=float, required=True, help="seconds after which it is disarmed")
    parser.add_argument("--descriptor", default=DESCRIPTOR)
    parser.add_argument("--state-file", default=STATE)
    given = parser.parse_args()
    with open(given.descriptor, encoding="utf-8") as file:
        member = json.load(file)
    raise_when_told()
    state = State(given.state_file, given.token)
    try:
        return demote(member, state, given.token, given.deadline)
    except Told:
        return state.end("disarmed", "it was told to stop", 0)
    except (psycopg2.Error, OSError) as error:
        return state.end("failed", str(error).strip(), 1)


def demote(member: dict[str, t.Any], state: State, token: str, deadline: float) -> int:
    connection = psycopg2.connect(
        host=member["socket_dir"], port=member["port"], dbname="postgres", application_name="resilience-demotion"
    )
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SELECT pg_is_in_recovery()")
    if cursor.fetchone() != (False,):
        return state.end("failed", f"{member['name']} is no primary", 1)
    # Most of what a shutdown would have to write is written before anybody waits for it.
    cursor.execute("CHECKPOINT")
    cursor.execute(f"LISTEN {CHANNEL}")
    state.event("armed")
    state.write("armed")
    if not word_came(connection, token, time.monotonic() + deadline):
        return state.end("expired", "the gateway did not give the word in time", 1)
    state.event("word_came")
    stop(Path(member["data_dir"]))
    # With this file it can only ever start as a standby.
    (Path(member["data_dir"]) / "standby.signal").touch()
    return state.end("stopped", "", 0)


def word_came(connection: t.Any, token: str, end: float) -> bool:
    while (left := end - time.monotonic()) > 0:
        select.select([connection], [], [], min(left, 1.0))
        connection.poll()
        while connection.notifies:
            if connection.notifies.pop(0).payload == token:
                return True
    return False


def stop(data_dir: Path) -> None:
    """A fast shutdown, waited for until the postmaster is gone."""
    pid = int((data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    os.kill(pid, signal.SIGINT)
    end = time.monotonic() + STOP_SECONDS
    while time.monotonic() < end:
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(POLL_SECONDS)
    raise OSError(f"the postmaster {pid} did not end within {STOP_SECONDS} s")


if __name__ == "__main__":
    sys.exit(main())

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a program on the primary waits for the gateway's word that it holds the clients, and acts on it."""

from __future__ import annotations

import argparse
import json
import select
import signal
import time
import typing as t

import psycopg2
from armed_state import State, Told, raise_when_told

STATE = "/var/lib/fraiseql-resilience/demotion.json"
DESCRIPTOR = "/etc/fraiseql-resilience/member.json"
CHANNEL = "resilience_switchover"
#: The name under which the gateway looks for whoever waits for its word.
LISTENER = "resilience-demotion"

#: What is done at the word: the state that it leaves, and the reason if it is not the one that was asked for.
Act = t.Callable[[dict[str, t.Any], argparse.Namespace], tuple[str, str]]


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that every such program has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--token", required=True, help="the word to wait for")
    made.add_argument("--deadline", type=float, required=True, help="seconds after which it is disarmed")
    made.add_argument("--descriptor", default=DESCRIPTOR)
    made.add_argument("--state-file", default=STATE)
    return made


def run(given: argparse.Namespace, act: Act) -> int:
    """Wait for the word, act, and say what became of it. The exit code."""
    with open(given.descriptor, encoding="utf-8") as file:
        member = json.load(file)
    raise_when_told()
    state = State(given.state_file, given.token)
    try:
        return _await_and_act(member, state, given, act)
    except Told:
        return state.end("disarmed", "it was told to stop", 0)
    except (psycopg2.Error, OSError) as error:
        return state.end("failed", str(error).strip(), 1)


def _await_and_act(member: dict[str, t.Any], state: State, given: argparse.Namespace, act: Act) -> int:
    connection = psycopg2.connect(
        host=member["socket_dir"], port=member["port"], dbname="postgres", application_name=LISTENER
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
    if not _word_came(connection, given.token, time.monotonic() + given.deadline):
        return state.end("expired", "the gateway did not give the word in time", 1)
    state.event("word_came")
    # From here on it is not left half-way: a primary that stops has to be one that can only start as a standby.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    became, reason = act(member, given)
    return state.end(became, reason, 1 if reason else 0)


def _word_came(connection: t.Any, token: str, end: float) -> bool:
    while (left := end - time.monotonic()) > 0:
        select.select([connection], [], [], min(left, 1.0))
        connection.poll()
        while connection.notifies:
            if connection.notifies.pop(0).payload == token:
                return True
    return False

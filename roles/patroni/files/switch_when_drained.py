#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Patroni for a switchover as soon as the gateway says that it holds the clients.

    armed ──NOTIFY resilience_switchover with the token──> asked ──Patroni answers──> switched
      ├── deadline ──> expired                               └── Patroni refuses ──> failed
      └── told to stop ──> disarmed

Until the word comes, nothing is changed. It is stop_when_drained.py's counterpart where Patroni is in charge.
"""

from __future__ import annotations

import argparse
import json
import select
import ssl
import sys
import time
import typing as t
import urllib.error
import urllib.request

import psycopg2
from armed_state import State, Told, raise_when_told

STATE = "/var/lib/fraiseql-resilience/demotion.json"
DESCRIPTOR = "/etc/fraiseql-resilience/member.json"
CHANNEL = "resilience_switchover"
#: The name under which the gateway looks for whoever waits for its word.
LISTENER = "resilience-demotion"
#: Seconds that Patroni has for its answer, which comes once the candidate leads.
ANSWER_SECONDS = 60


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask Patroni for a switchover once the gateway holds the clients.")
    parser.add_argument("--token", required=True, help="the word to wait for")
    parser.add_argument("--deadline", type=float, required=True, help="seconds after which it is disarmed")
    parser.add_argument("--candidate", required=True, help="the member that is to lead")
    parser.add_argument("--descriptor", default=DESCRIPTOR)
    parser.add_argument("--state-file", default=STATE)
    given = parser.parse_args()
    with open(given.descriptor, encoding="utf-8") as file:
        member = json.load(file)
    raise_when_told()
    state = State(given.state_file, given.token)
    try:
        return switch(member, state, given.token, given.deadline, given.candidate)
    except Told:
        return state.end("disarmed", "it was told to stop", 0)
    except (psycopg2.Error, OSError) as error:
        return state.end("failed", str(error).strip(), 1)


def switch(member: dict[str, t.Any], state: State, token: str, deadline: float, candidate: str) -> int:
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
    if not word_came(connection, token, time.monotonic() + deadline):
        return state.end("expired", "the gateway did not give the word in time", 1)
    state.event("word_came")
    code, said = ask(member, {"leader": member["name"], "candidate": candidate})
    if code != 200:
        return state.end("failed", f"Patroni answers {code}: {said}", 1)
    return state.end("switched", "", 0)


def word_came(connection: t.Any, token: str, end: float) -> bool:
    while (left := end - time.monotonic()) > 0:
        select.select([connection], [], [], min(left, 1.0))
        connection.poll()
        while connection.notifies:
            if connection.notifies.pop(0).payload == token:
                return True
    return False


def ask(member: dict[str, t.Any], request: dict[str, str]) -> tuple[int, str]:
    """Status and text of Patroni's answer to a switchover."""
    patroni = member["patroni"]
    context = ssl.create_default_context(cafile=patroni["ca"])
    context.load_cert_chain(patroni["cert"], patroni["key"])
    asked = urllib.request.Request(
        f"https://{member['address']}:{patroni['port']}/switchover", json.dumps(request).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS, context=context) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main())

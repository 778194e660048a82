#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Patroni for a switchover as soon as the gateway says that it holds the clients.

    armed ──NOTIFY resilience_switchover with the token──> Patroni is asked ──> switched
      ├── deadline ──> expired                                   └── it refuses ──> failed
      └── told to stop ──> disarmed

Until the word comes, nothing is changed. Where no Patroni is in charge, stop_when_drained.py has its place.
"""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import sys
import typing as t

import gateway_word

#: Seconds that Patroni has for its answer, which comes once the candidate leads.
ANSWER_SECONDS = 60


def main() -> int:
    parser = gateway_word.parser("Ask Patroni for a switchover once the gateway holds the clients.")
    parser.add_argument("--candidate", required=True, help="the member that is to lead")
    return gateway_word.run(parser.parse_args(), act)


def act(member: dict[str, t.Any], given: argparse.Namespace) -> tuple[str, str]:
    code, said = ask(member, {"leader": member["name"], "candidate": given.candidate})
    return ("switched", "") if code == 200 else ("failed", f"Patroni answers {code}: {said}")


def ask(member: dict[str, t.Any], request: dict[str, str]) -> tuple[int, str]:
    """Status and text of Patroni's answer to a switchover."""
    patroni = member["patroni"]
    context = ssl.create_default_context(cafile=patroni["ca"])
    context.load_cert_chain(patroni["cert"], patroni["key"])
    connection = http.client.HTTPSConnection(
        member["address"], patroni["port"], timeout=ANSWER_SECONDS, context=context
    )
    try:
        connection.request("POST", "/switchover", json.dumps(request))
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise OSError(f"Patroni gives no answer in HTTP: {error!r}") from error
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())

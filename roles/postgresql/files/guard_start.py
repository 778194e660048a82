#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses to start a second primary. systemd runs it before each start of PostgreSQL.

A member whose standby.signal stands can only start as a standby, and may. Any other would become a primary, so the
other members' health agents are asked, all at once: one that says it is primary is reason enough to stay down. A member
that nobody answers may start, since a cluster that was off as a whole must come back by itself; under synchronous
replication it can acknowledge nothing while it is alone. But a host that has just booted, or has no network, waits a
while for an answer: it may be the only one that does not hear the others.
"""

from __future__ import annotations

import argparse
import errno
import http.client
import json
import socket
import sys
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DESCRIPTOR = "/etc/fraiseql-resilience/member.json"
#: What a peer's agent answers, or why it does not: nobody listens there, this host has no way there, or nothing comes.
PRIMARY, OTHER, NO_WAY, SILENT = "primary", "other", "no way", "silent"
HAS_NO_WAY = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN}
#: Seconds after a boot within which the network may not carry anything yet.
BOOTING_SECONDS = 180.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Refuse to start a second primary.")
    parser.add_argument("--health-port", type=int, default=8008, help="where the other members' health agents answer")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds that each of them has")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds to wait for a network, or after a boot")
    parser.add_argument("--descriptor", default=DESCRIPTOR)
    given = parser.parse_args()
    with open(given.descriptor, encoding="utf-8") as file:
        member = json.load(file)
    if (Path(member["data_dir"]) / "standby.signal").exists():
        return 0
    others = [peer for peer in member["peers"] if peer["name"] != member["name"]]
    answers = heard(others, given.health_port, given.timeout, time.monotonic() + given.patience)
    primaries = [name for name, answer in answers.items() if answer == PRIMARY]
    if primaries:
        print(
            f"{member['name']} would start as a primary, but {', '.join(primaries)} is the primary now."
            " Nothing was started. Next: bring this member back as a standby with the playbook rejoin.",
            file=sys.stderr,
        )
        return 1
    return 0


def heard(others: t.Sequence[t.Mapping[str, t.Any]], port: int, timeout: float, deadline: float) -> dict[str, str]:
    """What each of the others answers; asked again until the deadline while it may be for this host that none does."""
    answers = asked(others, port, timeout)
    while may_be_deaf(answers) and time.monotonic() < deadline:
        time.sleep(0.5)
        answers = asked(others, port, timeout)
    return answers


def may_be_deaf(answers: t.Mapping[str, str]) -> bool:
    """Whether nobody is heard because of this host: others that are lost must not delay it for long."""
    said = set(answers.values())
    return said == {NO_WAY} or (bool(said) and said <= {NO_WAY, SILENT} and booting())


def asked(others: t.Sequence[t.Mapping[str, t.Any]], port: int, timeout: float) -> dict[str, str]:
    """All at once."""
    if not others:
        return {}
    with ThreadPoolExecutor(len(others)) as threads:
        answers = list(threads.map(lambda peer: answer_of(peer["address"], port, timeout), others))
    return {peer["name"]: answer for peer, answer in zip(others, answers, strict=True)}


def answer_of(address: str, port: int, timeout: float) -> str:
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/primary")
        return PRIMARY if connection.getresponse().status == 200 else OTHER
    except ConnectionRefusedError:
        return OTHER
    except socket.gaierror:
        return NO_WAY
    except OSError as error:
        return NO_WAY if error.errno in HAS_NO_WAY else SILENT
    except http.client.HTTPException:
        return OTHER
    finally:
        connection.close()


def booting() -> bool:
    return time.clock_gettime(time.CLOCK_BOOTTIME) < BOOTING_SECONDS


if __name__ == "__main__":
    sys.exit(main())

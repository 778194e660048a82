#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses to start a second primary. systemd runs it before each start of PostgreSQL.

A member whose standby.signal stands can only start as a standby, and may. Any other would become a primary, so the
other members' health agents are asked, all at once: one that says it is primary is reason enough to stay down. A member
that nobody answers may start, since a cluster that was off as a whole must come back by itself; under synchronous
replication it can acknowledge nothing while it is alone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DESCRIPTOR = "/etc/fraiseql-resilience/member.json"


def main() -> int:
    parser = argparse.ArgumentParser(description="Refuse to start a second primary.")
    parser.add_argument("--health-port", type=int, default=8008, help="where the other members' health agents answer")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds that each of them has")
    parser.add_argument("--descriptor", default=DESCRIPTOR)
    given = parser.parse_args()
    with open(given.descriptor, encoding="utf-8") as file:
        member = json.load(file)
    if (Path(member["data_dir"]) / "standby.signal").exists():
        return 0
    others = [peer for peer in member["peers"] if peer["name"] != member["name"]]
    primaries = primaries_among(others, given.health_port, given.timeout)
    if primaries:
        print(
            f"{member['name']} would start as a primary, but {', '.join(primaries)} is the primary now."
            " Nothing was started. Next: bring this member back as a standby with the playbook rejoin.",
            file=sys.stderr,
        )
        return 1
    return 0


def primaries_among(others: t.Sequence[t.Mapping[str, t.Any]], port: int, timeout: float) -> list[str]:
    """The names of those who say that they are primary."""
    if not others:
        return []
    with ThreadPoolExecutor(len(others)) as threads:
        answers = list(threads.map(lambda peer: is_primary(peer["address"], port, timeout), others))
    return [peer["name"] for peer, answer in zip(others, answers, strict=True) if answer]


def is_primary(address: str, port: int, timeout: float) -> bool:
    """Whether the health agent there says so; no answer is no."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/primary")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())

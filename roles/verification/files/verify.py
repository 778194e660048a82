#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifies a backup by a timer, as module backup_verify does in a playbook.

    verify standard-1     a level and a repository, as the instance of its unit is called
    verify clean          remove what one that was killed has left

What was found is appended to /var/lib/fraiseql-resilience/verifications/<stanza>/results.jsonl, also where nothing
could be verified. Exit code 0: passed; 1: failed; 2: unknown.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import socket
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import command, forecasting, verification
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import scratch
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verification import LEVELS
from ansible_collections.fraiseql.resilience.plugins.module_utils.verified_copy import Order

CONFIGURATION = "/etc/fraiseql-resilience/verification.json"
WHAT = re.compile(rf"(?P<level>{'|'.join(LEVELS)})-(?P<repo>\d+)\Z")
CODES = {"passed": 0, "failed": 1, "unknown": 2}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Verify a backup.")
    parser.add_argument("what", help="a level and a repository, as standard-1; or clean")
    parser.add_argument("--configuration", default=CONFIGURATION)
    given = parser.parse_args(arguments)
    known: dict[str, t.Any] = json.loads(Path(given.configuration).read_text(encoding="utf-8"))
    place = scratch.Place(
        known["bin_dir"],
        known["user"],
        Path(known["directory"]),
        known.get("configuration", scratch.CONFIGURATION),
        known.get("restore_command", scratch.RESTORE_WAL),
        Path(known.get("state", scratch.STATE)),
    )
    if given.what == "clean":
        return clean(place)
    wanted = wanted_of(given.what, parser)
    order = Order(
        stanza=known["stanza"],
        repo=int(wanted["repo"]),
        level=wanted["level"],
        rto_seconds=known.get("rto_seconds"),
        timeout=known["timeout_seconds"],
        by="timer",
        host=socket.gethostname(),
    )
    if order.level != "quick":
        foretell(known, place)
    answer = verified(order, place)
    verification.record(answer, place)
    for check in answer["checks"]:
        if check["verdict"] != "passed":
            print(f"{check['verdict']}: {check['name']}: {check['reason']}")
    print(f"{given.what}: {answer['verdict']}, {len(answer['checks'])} checks, {answer['seconds']['total']} s")
    return CODES[answer["verdict"]]


def foretell(known: dict[str, t.Any], place: scratch.Place) -> None:
    """Say beforehand how long it will take, of which the verification is the test; it goes on without, too."""
    try:
        read = forecasting.read(known["stanza"], repos=known["repos"], root=place.state)
        forecasting.foretold(read, {"rto_seconds": known.get("rto_seconds")}, time.time(), keep=True)
    except ResilienceError as error:
        print(f"not foretold: {error}")


def clean(place: scratch.Place) -> int:
    """Nothing is removed while somebody verifies: that one is not the one that was killed."""
    with contextlib.suppress(ResilienceError), scratch.alone(place, timeout=1.0):
        pass
    return 0


def wanted_of(what: str, parser: argparse.ArgumentParser) -> re.Match[str]:
    found = WHAT.match(what)
    if found is None:
        parser.error(f"there is no such verification: {what}; possible: {', '.join(LEVELS)}, and a repository: full-1")
    return found


def verified(order: Order, place: scratch.Place) -> dict[str, t.Any]:
    """What was found, or why nothing could be."""
    try:
        return verification.verify(order, place, run=command.run)
    except ResilienceError as error:
        return verification.undone(order, error.as_result()["msg"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

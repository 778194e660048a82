#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the manifest of a cluster by a timer, as module content_manifest does in a playbook.

Every member runs it and one takes it: first a standby that no commit waits for, a while later one that commits wait
for, a while later the primary. Whoever finds a fresh manifest in the repository leaves it at that.
"""

from __future__ import annotations

import json
import sys
import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import content_manifest, content_store
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.content import Limits
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, ResilienceError

CONFIGURATION = "/etc/fraiseql-resilience/content.json"
DESCRIPTOR = "/etc/fraiseql-resilience/member.json"


def main(arguments: list[str]) -> int:
    configuration, descriptor = arguments or (CONFIGURATION, DESCRIPTOR)
    known, member = (json.loads(Path(path).read_text(encoding="utf-8")) for path in (configuration, descriptor))
    try:
        return take(known, member)
    except ResilienceError as error:
        print(error.as_result()["msg"])
        return 1


def take(known: dict[str, t.Any], member: dict[str, t.Any]) -> int:
    client = Client(command.run, member["stanza"], user=member["os_user"], options=("--log-level-file=off",))
    time.sleep(known["stagger_seconds"] * turn(member))
    fresh = [name for name in names(client, known["repos"][0]) if age(name) < known["fresh_seconds"]]
    if fresh:
        print(f"{fresh[-1].text} is fresh")
        return 0
    limits = Limits(known["hashed_bytes"] or None, known["hold_seconds"], timeout=known["timeout_seconds"])
    manifest = content_manifest.take(member, limits, run=command.run)
    missed = 0
    for repo in known["repos"]:
        try:
            print(f"{content_store.put(client, repo, manifest)} is in repository {repo}")
        except CommandError as error:
            print(f"repository {repo} did not get it: {error.message}: {error.stderr_tail.strip()}")
            missed = 1
    for name, reason in manifest["unseen"].items():
        print(f"not seen: {name}: {reason}")
    return missed


def turn(member: dict[str, t.Any]) -> int:
    """How many others are asked first."""
    if LocalServer.of(member, command.run).value("SELECT pg_is_in_recovery()") == "f":
        return 2
    return 1 if content_manifest.confirms_commits(member, run=command.run) else 0


def names(client: Client, repo: int) -> list[content_store.Name]:
    """What the repository has; nothing where it cannot say."""
    try:
        return content_store.listed(client, repo)
    except CommandError:
        return []


def age(name: content_store.Name) -> float:
    return abs((datetime.now(timezone.utc) - name.taken).total_seconds())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

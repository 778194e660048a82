#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbackrest_restore; module_utils/collect/restore.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_restore
short_description: Restore a member's data from a repository, with the old data kept aside
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
description:
  - Runs on a member whose PostgreSQL is stopped. Prepares the recovery to a target and starts nothing.
  - WAL is fetched by a guarded C(restore_command), so that a hole in it is an error, never the silent end of the data.
  - A run that was cut off is taken up by the next one; the old data are kept once.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  idempotent:
    support: none
    details: Each run restores.
options:
  state:
    description: V(restored) restores; V(committed) removes what earlier restores have kept.
    type: str
    choices: [restored, committed]
    default: restored
  type:
    description:
      - Where recovery ends. V(default) is the newest that the repository holds, V(standby) makes a standby that follows
        the primary.
    type: str
    choices: [default, immediate, lsn, name, standby, time, xid]
    default: default
  target:
    description: The target, for V(lsn), V(name), V(time) (with its offset from UTC) and V(xid).
    type: str
  exclusive:
    description: Whether the target itself is left out.
    type: bool
    default: false
  timeline:
    description: The timeline that leads to the target.
    type: int
  repo:
    description: Number of the repository; by default the first one, for V(standby) the first that has a backup to give.
    type: int
  set:
    description: Label of the backup to begin with; by default the newest before the target.
    type: str
  delta:
    description: Whether to change the files of the present directory to those of the backup, instead of keeping it.
    type: bool
    default: false
  keep:
    description: Whether the present data directory is kept beside the new one.
    type: bool
    default: true
  reuse:
    description:
      - Whether relations of the kept data that were not written since the backup began are copied, not fetched.
      - pgBackRest compares each copy with the backup's checksum, and fetches what differs.
      - Needs O(keep); what O(delta) changes in its place is reused anyway.
    type: bool
    default: true
  timeout:
    description: Seconds that the restore may take.
    type: float
    default: 86400
  descriptor:
    description: The file that names this member; role P(fraiseql.resilience.postgresql#role) writes it.
    type: path
    default: /etc/fraiseql-resilience/member.json
"""

EXAMPLES = r"""
- name: The data are those of the moment before the mistake
  fraiseql.resilience.pgbackrest_restore:
    type: lsn
    target: 0/5000148
    exclusive: true
    timeline: 3

- name: The standby begins with the repository's data
  fraiseql.resilience.pgbackrest_restore:
    type: standby
    delta: true
"""

RETURN = r"""
argv:
  description: pgBackRest's command.
  returned: for restored
  type: list
  elements: str
repo:
  description: The repository that was read.
  returned: for restored
  type: int
set:
  description: The backup it begins with, as far as it is known before.
  returned: for restored
  type: str
started:
  description: When that backup began, in seconds since 1970.
  returned: for restored
  type: int
size:
  description: Size of the data in bytes.
  returned: for restored
  type: int
free:
  description: Room on the disk before, in bytes.
  returned: for restored
  type: int
keeps:
  description: Whether the old data are kept.
  returned: for restored
  type: bool
kept:
  description: Where they are kept.
  returned: for restored, outside check mode
  type: str
reused:
  description: Bytes of the kept data that were copied; pgBackRest fetched anew what differed from the backup.
  returned: for restored, outside check mode
  type: int
removed:
  description: The directories that were removed.
  returned: for committed
  type: list
  elements: str
seconds:
  description: How long pgBackRest took.
  returned: for restored, outside check mode
  type: float
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import restore
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.operation_lock import alone

REQUEST = ("type", "target", "exclusive", "timeline", "repo", "set", "delta", "keep", "reuse")


def act(given: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    member = armed.member(given["descriptor"])
    place = restore.Place.of(member)
    if given["state"] == "committed":
        removed = restore.commit(place, check_mode=check_mode)
        return {"changed": bool(removed), "removed": removed}
    request = restore.Request(**{name: given[name] for name in REQUEST})
    client = Client(run, member["stanza"], user=member["os_user"])
    if check_mode:
        return {"changed": True, **restore.plan(place, request, client, run)}
    return {"changed": True, **restore.restore(place, request, client, given["timeout"], run)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["restored", "committed"], "default": "restored"},
            "type": {
                "type": "str",
                "choices": ["default", "immediate", "lsn", "name", "standby", "time", "xid"],
                "default": "default",
            },
            "target": {"type": "str"},
            "exclusive": {"type": "bool", "default": False},
            "timeline": {"type": "int"},
            "repo": {"type": "int"},
            "set": {"type": "str"},
            "delta": {"type": "bool", "default": False},
            "keep": {"type": "bool", "default": True},
            "reuse": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 86400},
            "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/member.json"},
        },
        supports_check_mode=True,
    )
    try:
        with alone("data", "pgbackrest_restore", wait=module.params["timeout"], needed=not module.check_mode):
            result = act(module.params, module.check_mode)
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stanza that exists and works."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_stanza
short_description: See that a stanza exists in each repository, and that WAL arrives in each
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Creates the stanza where it is missing, never deletes or upgrades one, and runs C(pgbackrest check), which on the
    repository host and on the primary switches WAL and waits until the segment is in every repository.
  - On a standby C(check) only compares configuration, repositories and cluster.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  stanza:
    description: The stanza's name.
    type: str
    required: true
  state:
    description:
      - V(present) creates the stanza where it is missing, then checks; for the repository host.
      - V(checked) only checks; for members.
    type: str
    choices: [present, checked]
    default: present
  repos:
    description: Numbers of the repositories that must hold the stanza; by default all that
      are configured on this host for the key that serves.
    type: list
    elements: int
  system_id:
    description: System identifier of the cluster. A stanza of another cluster is refused before anything is done.
    type: str
  check:
    description: Whether C(pgbackrest check) is run in the end.
    type: bool
    default: true
  user:
    description: Operating system user that runs pgBackRest on this host.
    type: str
    default: postgres
  timeout:
    description: Seconds that each of pgBackRest's commands has.
    type: float
    default: 240.0
  wait:
    description: Seconds to wait for another process that holds the stanza's lock, before the stanza is created.
    type: float
    default: 60.0
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
    details: C(pgbackrest check) is left out, as it switches WAL.
seealso:
  - module: fraiseql.resilience.pgbackrest_backup
"""

EXAMPLES = r"""
- name: The stanza exists in both repositories, and WAL arrives in both
  fraiseql.resilience.pgbackrest_stanza:
    stanza: orders
    repos: [1, 2]

- name: Each member reaches the repositories
  fraiseql.resilience.pgbackrest_stanza:
    stanza: orders
    state: checked
"""

RETURN = r"""
created_in:
  description: Repositories in which the stanza was missing.
  returned: success
  type: list
  elements: int
  sample: [1, 2]
checked:
  description: Whether C(pgbackrest check) ran and passed.
  returned: success
  type: bool
seconds:
  description: How long C(pgbackrest check) took.
  returned: when it ran
  type: float
warnings_told:
  description: What pgBackRest warned of, such as a member that is down.
  returned: success
  type: list
  elements: str
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    RefusedError,
    ResilienceError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.generations import serves


def argument_spec() -> dict[str, t.Any]:
    return {
        "stanza": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "checked"], "default": "present"},
        "repos": {"type": "list", "elements": "int"},
        "system_id": {"type": "str"},
        "check": {"type": "bool", "default": True},
        "user": {"type": "str", "default": "postgres"},
        "timeout": {"type": "float", "default": 240.0},
        "wait": {"type": "float", "default": 60.0},
    }


def act(params: dict[str, t.Any], *, check_mode: bool, run: command.Runner) -> dict[str, t.Any]:
    client = pgbackrest.Client(run, params["stanza"], user=params["user"], timeout=params["timeout"])
    stanza = client.info()
    repos = params["repos"] or [one.number for one in stanza.repositories if serves(one.number)]
    missing = [n for n in repos if stanza.repository(n).code in (pgbackrest.NO_STANZA, pgbackrest.NO_DATA)]
    pgbackrest.demand_readable(stanza, [n for n in repos if n not in missing])
    demand_same_cluster(stanza, repos, params["system_id"])
    answer: dict[str, t.Any] = {"changed": False, "created_in": [], "checked": False, "warnings_told": []}
    if missing and params["state"] == "checked":
        raise RefusedError(
            f"stanza {stanza.name} is missing in repository {', '.join(map(str, missing))}",
            next_step="create it on the repository host: pgbackrest_stanza with state present",
        )
    if missing:
        answer.update(changed=True, created_in=missing)
        if check_mode:
            return answer
        answer["warnings_told"] += warnings(create(client, Deadline(params["wait"])).stderr)
    if params["check"] and not check_mode:
        try:
            done = client.call("check")
        except ResilienceError as error:
            error.changed = answer["changed"]
            raise
        answer.update(checked=True, seconds=round(done.seconds, 3))
        answer["warnings_told"] += warnings(done.stderr)
    return answer


def create(client: pgbackrest.Client, deadline: Deadline) -> command.Completed:
    """Create the stanza. A primary whose WAL no repository takes yet holds the lock again and again, for a moment each.

    :raises CommandFailed: whatever pgBackRest complains of; of the lock only at the deadline.
    """
    while True:
        try:
            return client.call("stanza-create")
        except CommandFailed as error:
            if error.rc != pgbackrest.LOCKED or deadline.expired():
                raise
            time.sleep(0.2)


def demand_same_cluster(stanza: pgbackrest.Stanza, repos: list[int], system_id: str | None) -> None:
    """Every repository holds the same cluster, and the one that is meant.

    :raises RefusedError: for two clusters, or another one.
    """
    held = {n: str(database.system_id) for n in repos if (database := stanza.present(n)) is not None}
    if len(set(held.values())) > 1:
        raise RefusedError(
            f"the repositories hold two clusters under the name {stanza.name}",
            given=held,
            next_step="find out which one is this cluster (pg_controldata); give the other one a stanza of its own",
        )
    other = {n: held_id for n, held_id in held.items() if system_id is not None and held_id != system_id}
    if other:
        raise RefusedError(
            f"stanza {stanza.name} belongs to another cluster",
            given=f"system identifier {system_id}",
            possible=other,
            next_step="use another stanza name (resilience_stanza); the other cluster's backups stay as they are",
        )


def warnings(stderr: str) -> list[str]:
    return [line.split("WARN:", 1)[1].strip() for line in stderr.splitlines() if "WARN:" in line]


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, check_mode=module.check_mode, run=command.run))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a backup, and say which one it became."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_backup
short_description: Take a backup into one repository, and judge it
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Runs on the repository host; for an object store also on the primary, as when the repository host is lost. Waits
    for a backup that is running already, and for the first checkpoint of a new primary, for O(wait) seconds at most.
  - A backup in which pages with a broken checksum were found fails the task, although pgBackRest ends with 0.
  - V(awaited) takes none, and only waits for one that runs, such as that of a run that was killed.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  stanza:
    description: The stanza's name.
    type: str
    required: true
  state:
    description: Whether to take a backup, or to wait until none of this stanza runs.
    type: str
    choices: [taken, awaited]
    default: taken
  repo:
    description: Number of the repository.
    type: int
    default: 1
  type:
    description: What is wanted. Without a full backup before it, pgBackRest makes any of them a full one.
    type: str
    choices: [full, diff, incr]
    default: incr
  only_if_none:
    description: Take it only if the repository holds no full backup of this cluster without errors.
    type: bool
    default: false
  from_primary:
    description:
      - Whether to read the files from the primary, whatever is configured. A standby that has just changed its primary
        may take longer to reach the backup's checkpoint than the backup itself takes.
    type: bool
    default: false
  wait:
    description: Seconds to wait for another backup of this stanza to end, or for a new primary's first checkpoint.
    type: float
    default: 600.0
  user:
    description: Operating system user that runs pgBackRest on this host.
    type: str
    default: postgres
  timeout:
    description: Seconds that the backup may take.
    type: float
    default: 86400.0
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
  idempotent:
    description: A second run with the same arguments, outside check mode, indicates no change.
    support: partial
    details: Only with O(only_if_none=true) or O(state=awaited); else each run takes a backup.
"""

EXAMPLES = r"""
- name: Both repositories hold a full backup
  fraiseql.resilience.pgbackrest_backup:
    stanza: orders
    repo: "{{ item }}"
    type: full
    only_if_none: true
  loop: [1, 2]

- name: Nothing is missing that a backup would bring which runs already
  fraiseql.resilience.pgbackrest_backup:
    stanza: orders
    state: awaited
    wait: 86400

- name: A first backup of the new timeline is taken
  fraiseql.resilience.pgbackrest_backup:
    stanza: orders
    type: incr
  register: taken
"""

RETURN = r"""
backup:
  description: The backup that was taken, or with O(only_if_none=true) the one that was there.
  returned: success, outside check mode, with O(state=taken)
  type: dict
  sample:
    label: 20261123-094201F
    type: full
    repo: 1
    timeline: 1
    start_lsn: 0/9000028
    stop_lsn: 0/9000158
    started: 1795426921
    stopped: 1795426924
    size: 31058861
    repository_size: 3718080
    error: false
seconds:
  description: How long it took.
  returned: when a backup was taken
  type: float
waited_seconds:
  description: How long another backup was waited for.
  returned: success
  type: float
warnings_told:
  description: What pgBackRest warned of.
  returned: when a backup was taken
  type: list
  elements: str
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import backup, command
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError, ResilienceError


def argument_spec() -> dict[str, t.Any]:
    return {
        "stanza": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["taken", "awaited"], "default": "taken"},
        "repo": {"type": "int", "default": 1},
        "type": {"type": "str", "choices": list(backup.TYPES), "default": "incr"},
        "only_if_none": {"type": "bool", "default": False},
        "from_primary": {"type": "bool", "default": False},
        "wait": {"type": "float", "default": 600.0},
        "user": {"type": "str", "default": "postgres"},
        "timeout": {"type": "float", "default": 86400.0},
    }


def act(
    params: dict[str, t.Any],
    *,
    check_mode: bool,
    run: command.Runner,
    sleep: t.Callable[[float], None] = time.sleep,
) -> dict[str, t.Any]:
    client = pgbackrest.Client(run, params["stanza"], user=params["user"])
    repo = params["repo"]
    deadline = Deadline(params["wait"])
    if params["state"] == "awaited":
        # A plan is not to wait for hours.
        waited = 0.0 if check_mode else backup.wait_until_free(client, repo, deadline, sleep)
        return {"changed": False, "waited_seconds": waited}
    before = backup.seen(client, repo)
    whole = [one for one in before.backups_of(repo) if one.type == "full" and not one.error]
    if params["only_if_none"] and whole:
        return {"changed": False, "backup": whole[-1].as_dict(), "waited_seconds": 0.0}
    if check_mode:
        return {"changed": True, "waited_seconds": 0.0}
    # A member's own configuration is for archiving, and says nothing of backups.
    options = [backup.FROM_PRIMARY, "--start-fast"] if params["from_primary"] else []
    taken = backup.take(
        client, repo, params["type"], deadline=deadline, timeout=params["timeout"], options=options, sleep=sleep
    )
    if taken.backup.error:
        raise RefusedError(
            f"backup {taken.backup.label} holds pages with a broken checksum, so the cluster itself is damaged",
            next_step="look into the backup's log and run pg_amcheck on the primary; keep all older backups",
            changed=True,
        )
    return {
        "changed": True,
        "backup": taken.backup.as_dict(),
        "seconds": taken.seconds,
        "waited_seconds": taken.waited,
        "warnings_told": list(taken.warnings),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, check_mode=module.check_mode, run=command.run))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

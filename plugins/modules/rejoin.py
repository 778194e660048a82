#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module rejoin; collect/rejoin.py looks and acts, judge/rejoin.py decides."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rejoin
short_description: Bring a member back as a standby, whatever its data went through
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
description:
  - Runs on a member that was away. Compares the history of its data with that of the primary, and takes the gentlest
    way that leads to a streaming standby.
  - One that was shut down in time is just started. One that wrote something which the primary does not have is brought
    in line with C(pg_rewind), after the WAL that it alone holds was copied. Where that is not possible, or an earlier
    run was cut off in the midst of it, its files are changed to those of the newest backup.
  - It is masked meanwhile, and never started as anything but a standby.
  - A host without PostgreSQL or without data is left to role P(fraiseql.resilience.replication#role).
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  primary:
    description: The member to follow, as M(fraiseql.resilience.cluster_info) returns it.
    type: str
    required: true
  user:
    description: The role that replicates.
    type: str
    default: resilience_replicator
  keep_diverged:
    description: >-
      Whether WAL that this member alone holds, and the rows in it, are kept in
      C(/var/lib/fraiseql-resilience/diverged) before they are overwritten. They are the only proof of what was lost.
      The rows are lines of JSON in C(rows.jsonl); the member is started for them, read-only and without network.
    type: bool
    default: true
  stop_timeout:
    description: Seconds that PostgreSQL has to stop before it is killed.
    type: float
    default: 60
  rewind_timeout:
    description: Seconds that pg_rewind may take.
    type: float
    default: 3600
  restore_timeout:
    description: Seconds that a restore may take.
    type: float
    default: 86400
  follow_timeout:
    description: Seconds that the member has to stream, once it runs, before the next way is taken.
    type: float
    default: 120
  descriptor:
    description: The file that names this member; role P(fraiseql.resilience.postgresql#role) writes it.
    type: path
    default: /etc/fraiseql-resilience/member.json
"""

EXAMPLES = r"""
- name: The old primary follows the new one
  fraiseql.resilience.rejoin:
    primary: pg-a2
"""

RETURN = r"""
method:
  description:
    - What led to the goal, or would be tried first in check mode. V(none) if it streamed already or soon did by itself,
      V(start), V(rewind), V(restore).
    - V(build) if there are no data; nothing was done then.
  returned: success
  type: str
  sample: rewind
reason:
  description: Why that way was chosen.
  returned: success
  type: str
  sample: "on timeline 1 it went on to 0/6000110, while pg-a2 left timeline 1 at 0/5000148"
fork_lsn:
  description: Where the member's own history leaves the cluster's, if it does.
  returned: success
  type: str
  sample: 0/5000148
kept:
  description: The folder with the WAL and the rows that this member alone held.
  returned: success outside check mode
  type: str
  sample: /var/lib/fraiseql-resilience/diverged/20261123T091203Z
kept_transactions:
  description: How many transactions committed in that WAL.
  returned: success outside check mode
  type: int
kept_rows:
  description: How many rows of theirs were there to be kept, new and updated ones.
  returned: success outside check mode
  type: int
tried:
  description: What was tried before and why it did not lead to the goal.
  returned: success outside check mode
  type: list
  elements: str
"""

import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import rejoin
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.rejoin import Decision, Method
from ansible_collections.fraiseql.resilience.plugins.module_utils.operation_lock import alone


def act(given: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    if not Path(given["descriptor"]).exists():
        return {"changed": False, **Decision(Method.BUILD, "this host is no member yet").as_dict()}
    member = armed.member(given["descriptor"])
    primary = rejoin.Primary.of(member, given["primary"], given["user"], run)
    decision = rejoin.plan(member, primary)
    if decision.method in (Method.BUILD, Method.NONE):
        return {"changed": False, **decision.as_dict()}
    if check_mode:
        return {"changed": decision.method is not Method.WAIT, **decision.as_dict()}
    timeouts = {name: given[f"{name}_timeout"] for name in ("stop", "rewind", "restore", "follow")}
    done = rejoin.act(member, primary, decision, timeouts, keep=given["keep_diverged"])
    return {"changed": done["method"] != Method.WAIT.value, **decision.as_dict(), **done}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "primary": {"type": "str", "required": True},
            "user": {"type": "str", "default": "resilience_replicator"},
            "keep_diverged": {"type": "bool", "default": True},
            "stop_timeout": {"type": "float", "default": 60},
            "rewind_timeout": {"type": "float", "default": 3600},
            "restore_timeout": {"type": "float", "default": 86400},
            "follow_timeout": {"type": "float", "default": 120},
            "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/member.json"},
        },
        supports_check_mode=True,
    )
    try:
        with alone("data", "rejoin", wait=module.params["restore_timeout"], needed=not module.check_mode):
            result = act(module.params, module.check_mode)
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module recovery_end; module_utils/collect/recovery.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_end
short_description: Start a restored member and wait until its recovery has really ended
description:
  - Takes away the fence that a restore stands behind, starts the member's unit, and waits until PostgreSQL has left
    recovery. That a server was started, answers, or is
    consistent, is not taken for the end of its recovery.
  - Proves where the recovery ended by the history file that PostgreSQL writes for the new timeline.
  - If the server dies on the way, fails at once with the server's own last words.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  target_lsn:
    description: The LSN that the recovery had to reach at least. The module fails if it ended before.
    type: str
  timeout:
    description: Seconds to wait at most for the end of the recovery.
    type: float
    default: 3600
  descriptor:
    description: The file that names this member; role P(fraiseql.resilience.postgresql#role) writes it.
    type: path
    default: /etc/fraiseql-resilience/member.json
"""

EXAMPLES = r"""
- name: The restored member has left recovery
  fraiseql.resilience.recovery_end:
    target_lsn: 0/5000148
"""

RETURN = r"""
timeline:
  description: The timeline that the member writes now.
  returned: success outside check mode
  type: int
  sample: 4
ended_at:
  description: Where the newest timeline left its parent.
  returned: success outside check mode, if the timeline is not the first
  type: dict
  contains:
    parent:
      description: The timeline that was left.
      returned: always
      type: int
    lsn:
      description: The LSN at which it was left.
      returned: always
      type: str
    reason:
      description: PostgreSQL's own words for why it stopped there.
      returned: always
      type: str
forgotten:
  description: Settings of the recovery that were removed once it had ended.
  returned: success outside check mode
  type: list
  elements: str
  sample: [recovery_target_lsn, restore_command]
seconds:
  description: How long it took from the module's begin, on the member's monotonic clock.
  returned: success outside check mode
  type: float
  sample: 3.2
clock:
  description: The member's monotonic clock when the end of the recovery was seen, in nanoseconds.
  returned: success outside check mode
  type: int
"""

import dataclasses
import json
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import clock
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import received_wal, recovery
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    ResilienceError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import (
    checked_lsn,
    last_switch,
    reached,
)


def read_member(path: str) -> recovery.Member:
    """The member that the descriptor names."""
    try:
        with open(path, encoding="utf-8") as file:
            facts = json.load(file)
    except (OSError, ValueError) as error:
        raise InputError(
            f"this host's descriptor cannot be read: {error}", given=path, next_step="run the site playbook on it"
        ) from error
    log_file = f"/var/log/postgresql/postgresql-{facts['version']}-{facts['cluster_name']}.log"
    names = {field.name for field in dataclasses.fields(recovery.Member)} - {"log_file"}
    # Where Patroni is in charge, it would follow whoever leads: a recovery is PostgreSQL's own.
    facts["unit"] = facts.get("server_unit", facts["unit"])
    return recovery.Member(log_file=log_file, **{name: facts[name] for name in names})


def end_recovery(member: recovery.Member, target_lsn: str | None, timeout: float) -> dict[str, t.Any]:
    """Start, wait, and prove where it ended."""
    begin = clock.monotonic_ns()
    started = recovery.start(member, run=run)
    recovery.await_end(member, timeout=timeout, run=run)
    seen = clock.monotonic_ns()
    timeline = recovery.timeline(member, run=run)
    result: dict[str, t.Any] = {
        "changed": started,
        "timeline": timeline,
        "seconds": (seen - begin) / 1e9,
        "clock": seen,
    }
    if timeline == 1 and target_lsn is not None:
        raise UnknownError(
            f"no recovery ended here, so nothing proves that {target_lsn} was reached: the member is on timeline 1",
            changed=started,
            next_step="restore the member with the playbook restore",
        )
    if timeline > 1:
        switch = last_switch(recovery.read_history(member, timeline))
        result["ended_at"] = dataclasses.asdict(switch)
        if not reached(switch, target_lsn=target_lsn):
            raise UnknownError(
                f"the recovery ended at {switch.lsn} ({switch.reason}), before its target {target_lsn}",
                changed=started,
                next_step="WAL is missing in the repositories: see how far they reach with module pgbackrest_info",
            )
    received_wal.forget_demand()
    forgotten = recovery.forget_target(member, run=run)
    return {**result, "changed": started or bool(forgotten), "forgotten": forgotten}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "target_lsn": {"type": "str"},
            "timeout": {"type": "float", "default": 3600},
            "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/member.json"},
        },
        supports_check_mode=True,
    )
    try:
        member = read_member(module.params["descriptor"])
        if module.params["target_lsn"] is not None:
            checked_lsn(module.params["target_lsn"])
        if module.check_mode:
            module.exit_json(changed=not recovery.is_started(member, run=run))
        result = end_recovery(member, module.params["target_lsn"], module.params["timeout"])
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module promotion; module_utils/armed.py and collect/promotion.py do the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: promotion
short_description: Make a standby the primary, now or as soon as its primary has shut down
description:
  - Runs on a member. V(armed) lets the standby promote itself once it has replayed its primary's shutdown checkpoint,
    so that no acknowledged row can be missing and no task is needed in the outage. It disarms itself at O(deadline).
  - V(promoted) promotes now, for a primary that is lost and fenced.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  idempotent:
    support: partial
    details: O(state=armed) begins anew with each token. A primary is not promoted again.
options:
  state:
    description:
      - V(armed) arms the standby and returns once it is.
      - V(awaited) waits until the armed standby has promoted itself.
      - V(disarmed) makes sure that nothing is armed.
      - V(promoted) replays what the standby holds, up to O(require_lsn) at least, and promotes it.
    type: str
    required: true
    choices: [armed, awaited, disarmed, promoted]
  token:
    description: Names one arming. Needed for V(armed) and V(awaited).
    type: str
  deadline:
    description: Seconds after which an armed standby disarms itself.
    type: float
    default: 60
  require_lsn:
    description: WAL position that must be replayed before the promotion, for O(state=promoted).
    type: str
  received_wal:
    description:
      - What M(fraiseql.resilience.received_wal) took from a receiver, its return value C(packed).
      - For O(state=promoted) it is laid where the recovery finds it, so that it is replayed before the promotion.
    type: str
  timeout:
    description: Seconds to wait at most.
    type: float
    default: 60
  descriptor:
    description: The file that names this member; role P(fraiseql.resilience.postgresql#role) writes it.
    type: path
    default: /etc/fraiseql-resilience/member.json
"""

EXAMPLES = r"""
- name: The candidate promotes itself once it has replayed the primary's shutdown
  fraiseql.resilience.promotion:
    state: armed
    token: "{{ token }}"

- name: The candidate takes over from a primary that is fenced
  fraiseql.resilience.promotion:
    state: promoted
    require_lsn: 0/5000148
"""

RETURN = r"""
timeline:
  description: The timeline that the member writes now.
  returned: for awaited and promoted
  type: int
  sample: 3
promote_lsn:
  description: Where the new timeline began.
  returned: for awaited and promoted
  type: str
  sample: 0/5000148
events:
  description: What happened when, each with name, monotonic_ns of this host, and utc.
  returned: for armed, awaited and promoted
  type: list
  elements: dict
clock:
  description: This host's monotonic clock when the task ended, in nanoseconds.
  returned: for promoted
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import promotion, received_wal
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.operation_lock import alone


def act(given: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    member = armed.member(given["descriptor"])
    state = given["state"]
    if state == "promoted":
        pieces = received_wal.unpacked(given["received_wal"])
        received_wal.deliver(member, pieces, check_mode=check_mode)
        return promotion.promote(member, given["require_lsn"], given["timeout"], check_mode=check_mode, run=run)
    if state == "disarmed":
        active = armed.is_active(armed.PROMOTION, run=run)
        return {"changed": active if check_mode else armed.disarm(armed.PROMOTION, run=run)}
    if check_mode:
        return {"changed": state == "armed", "events": []}
    if state == "armed":
        said = armed.arm(armed.PROMOTION, given["token"], given["deadline"], member["os_user"], run=run)
        return {"changed": True, "events": said["events"]}
    said = armed.await_end(armed.PROMOTION, given["token"], "promoted", given["timeout"])
    return {"changed": False, **{key: said[key] for key in ("events", "timeline", "promote_lsn")}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["armed", "awaited", "disarmed", "promoted"]},
            "token": {"type": "str", "no_log": False},
            "deadline": {"type": "float", "default": 60},
            "require_lsn": {"type": "str"},
            "received_wal": {"type": "str", "no_log": True},
            "timeout": {"type": "float", "default": 60},
            "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/member.json"},
        },
        required_if=[("state", "armed", ("token",)), ("state", "awaited", ("token",))],
        supports_check_mode=True,
    )
    try:
        changes = not module.check_mode and module.params["state"] != "awaited"
        with alone("data", "promotion", wait=module.params["timeout"], needed=changes):
            result = act(module.params, module.check_mode)
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()

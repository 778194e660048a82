#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module received_wal; module_utils/collect/received_wal.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: received_wal
short_description: Bring WAL that only a receiver confirmed to the member that takes over
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
description:
  - Where a quorum confirms commits, a receiver may hold acknowledged rows that the candidate does not have. Whoever is
    promoted takes them first, so that acknowledged means findable.
  - V(measured) runs on the repository host, after the old primary was fenced. It reads how far the receiver's WAL
    reaches beyond O(lsn). V(taken) does the same and returns that WAL. Segments that the repository has are left out,
    since the candidate gets them from there.
  - V(delivered) runs on the candidate and lays that WAL where its C(restore_command) looks, so that the promotion
    replays it.
  - V(set_aside) runs on the repository host when the cluster goes back to an earlier point. What the receiver holds is
    kept beside its folder, and it begins anew.
  - V(detached) runs there too, and stops the receiver for O(seconds) at most, so that it confirms nothing to a primary
    that is being fenced by the quorum. V(attached) starts it again.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  state:
    description: What to do; see the description.
    type: str
    required: true
    choices: [measured, taken, delivered, set_aside, detached, attached]
  timeline:
    description: The candidate's timeline, for V(measured) and V(taken).
    type: int
  lsn:
    description: Where the candidate's own WAL ends, for V(measured) and V(taken).
    type: str
  max_bytes:
    description: How many bytes may be carried.
    type: int
    default: 134217728
  seconds:
    description: After how many seconds a receiver that is V(detached) starts again by itself.
    type: float
    default: 300
  packed:
    description: What V(taken) returned under that name, for V(delivered).
    type: str
  require_lsn:
    description:
      - What V(taken) returned under that name, for V(delivered). It is kept beside the WAL until
        M(fraiseql.resilience.recovery_end) has seen it reached, since the receiver may hold nothing any more when a run
        that was cut off is run again.
    type: str
  descriptor:
    description: >-
      The file that names this host. By default C(/etc/fraiseql-resilience/member.json) for V(delivered), else
      C(/etc/fraiseql-resilience/repository.json).
    type: path
"""

EXAMPLES = r"""
- name: What the receiver holds beyond the candidate
  fraiseql.resilience.received_wal:
    state: measured
    timeline: 3
    lsn: 0/5000148

- name: It is taken along
  fraiseql.resilience.received_wal:
    state: taken
    timeline: 3
    lsn: 0/5000148
  register: received
  no_log: true

- name: The candidate has it, too
  fraiseql.resilience.received_wal:
    state: delivered
    packed: "{{ received.packed }}"
    require_lsn: "{{ received.require_lsn | default(omit) }}"
  delegate_to: pg-a2
"""

RETURN = r"""
receiver:
  description: The receiver's name; none where there is no receiver.
  returned: for measured and taken
  type: str
  sample: repo-a-receiver
ahead_bytes:
  description: How far its WAL reaches beyond the candidate's.
  returned: for measured and taken
  type: int
  sample: 272
end_lsn:
  description: Where its last whole record ends, if it is ahead.
  returned: for measured and taken
  type: str
  sample: 0/5000258
require_lsn:
  description:
    - The position that the candidate has replayed once it has replayed all of it.
    - For V(delivered), what an earlier run demanded and no recovery has reached counts, too; none if nothing is.
  returned: for measured and taken, if the receiver is ahead; for delivered
  type: str
  sample: 0/5000201
packed:
  description:
    - The WAL itself, for V(delivered) or for M(fraiseql.resilience.promotion); empty if there is nothing to carry.
    - It is data of the database, so a task that registers it has to have C(no_log).
  returned: for taken
  type: str
kept:
  description: Where the receiver's WAL is kept; none if it held nothing.
  returned: for set_aside
  type: str
  sample: /var/lib/fraiseql-resilience/received-wal/orders.kept-20261123T094100Z
segments:
  description: The segments that were laid down.
  returned: for delivered
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import received_wal
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import checked_lsn
from ansible_collections.fraiseql.resilience.plugins.module_utils.operation_lock import alone

#: For another one, which moves files or starts a unit.
WAIT_SECONDS = 120.0
STATES = ("measured", "taken", "delivered", "set_aside", "detached", "attached")


def act(given: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    if given["state"] == "delivered":
        member = armed.member(given["descriptor"] or armed.MEMBER)
        lsn = given["require_lsn"] and checked_lsn(given["require_lsn"])
        laid = received_wal.deliver(member, received_wal.unpacked(given["packed"]), check_mode=check_mode)
        before = received_wal.demanded()
        require_lsn = received_wal.demand(lsn or None, member["os_user"], check_mode=check_mode)
        return {"changed": bool(laid) or require_lsn != before, "segments": laid, "require_lsn": require_lsn}
    repository = received_wal.describe(given["descriptor"] or received_wal.REPOSITORY)
    if given["state"] in ("measured", "taken"):
        lsn = checked_lsn(given["lsn"])
        found = received_wal.measure(repository, given["timeline"], lsn, given["max_bytes"], run=run)
        pieces = found.pop("pieces")
        taken = {"packed": received_wal.packed(pieces)} if given["state"] == "taken" else {}
        return {"changed": False, **found, **taken}
    if given["state"] == "set_aside":
        kept = received_wal.set_aside(repository, check_mode=check_mode, run=run)
        return {"changed": kept is not None, "kept": kept}
    if given["state"] == "detached":
        return {"changed": received_wal.detach(repository, given["seconds"], check_mode=check_mode, run=run)}
    return {"changed": received_wal.attach(repository, check_mode=check_mode, run=run)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "timeline": {"type": "int"},
            "lsn": {"type": "str"},
            "max_bytes": {"type": "int", "default": 134217728},
            "seconds": {"type": "float", "default": 300},
            "packed": {"type": "str", "no_log": True},
            "require_lsn": {"type": "str"},
            "descriptor": {"type": "path"},
        },
        required_if=[("state", "measured", ("timeline", "lsn")), ("state", "taken", ("timeline", "lsn"))],
        supports_check_mode=True,
    )
    try:
        changes = not module.check_mode and module.params["state"] not in ("measured", "taken")
        with alone("received-wal", "received_wal", wait=WAIT_SECONDS, needed=changes):
            result = act(module.params, module.check_mode)
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module cluster_info; collect/members.py asks, judge/topology.py judges."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: See a cluster from outside, with what is wrong with it
description:
  - Runs on an observer and asks every member at once, over TLS, what it is. The database says who is primary, never
    the inventory.
  - Each member has O(timeout) seconds to answer. One that does not is C(unseen), and the verdict is then not passed.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  timeout:
    description: Seconds that each member has to answer.
    type: float
    default: 1.0
  healthy_within:
    description: Seconds to ask again and again until the verdict is passed. The last answer is returned in any case.
    type: float
    default: 0
  primary_within:
    description: Seconds to ask again and again until exactly one member accepts writes.
    type: float
    default: 0
  without:
    description: Members that are left out, since they are known to be gone.
    type: list
    elements: str
    default: []
  tolerated:
    description:
      - Codes of hazards that are known and do not count for the verdict, such as C(archiver_failing) while a repository
        is lost. They are returned all the same.
    type: list
    elements: str
    default: []
  descriptor:
    description: The file that role P(fraiseql.resilience.observer#role) wrote.
    type: path
    default: /etc/fraiseql-resilience/observer.json
"""

EXAMPLES = r"""
- name: Look at the cluster from outside
  fraiseql.resilience.cluster_info:
  register: cluster

- name: Standbys follow the new primary
  fraiseql.resilience.cluster_info:
    healthy_within: 60
  register: cluster
  failed_when: cluster.verdict != 'passed'
"""

RETURN = r"""
cluster:
  description: The cluster's name.
  returned: success
  type: str
  sample: orders
primary:
  description: The member that accepts writes, if there is exactly one.
  returned: success
  type: str
  sample: pg-a1
timeline:
  description: The primary's timeline.
  returned: if there is a primary
  type: int
  sample: 3
members:
  description: >-
    What was seen of each member: name, region, standing (primary, standby, stalled, starting, refused, unseen), reason,
    reading_seconds, ssh_answers, version, system_id, timeline, written_lsn, replayed_lsn, replay_paused,
    receiving_from, synchronous_standby_names, senders, slots, archiver, lag_bytes.
  returned: success
  type: list
  elements: dict
engine:
  description: Who promotes when the primary is lost, V(manual) for the playbook failover or V(patroni).
  returned: success
  type: str
  sample: patroni
patroni:
  description: >-
    What Patroni says, none where it is not in charge. It holds seen, version, paused, synchronous, leader, and members
    by name, each with role, state and tags.
  returned: success
  type: dict
hazards:
  description: What is wrong, each with a stable code, a verdict and a detail.
  returned: success
  type: list
  elements: dict
  sample: [{code: standby_not_streaming, verdict: failed, detail: pg-b1 does not stream}]
verdict:
  description: V(passed) if every member was seen and nothing is wrong, V(failed), or V(unknown).
  returned: success
  type: str
  sample: passed
"""

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.members import read_descriptor, read_members
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.patroni import read_engine
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import patroni, topology
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.slots import slot_name
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict

#: Seconds between two readings while waiting for a healthy cluster.
INTERVAL = 0.5


def left_over(members: t.Sequence[dict[str, t.Any]], without: t.Collection[str]) -> list[dict[str, t.Any]]:
    """The members that are asked.

    :raises InputError: a name is no member's.
    """
    names = [one["name"] for one in members]
    unknown = [name for name in without if name not in names]
    if unknown:
        raise InputError("what is not a member cannot be left out", given=", ".join(unknown), possible=", ".join(names))
    return [one for one in members if one["name"] not in without]


def as_result(
    facts: dict[str, t.Any],
    members: t.Sequence[topology.Member],
    engine: patroni.Engine | None,
    tolerated: t.Collection[str] = (),
) -> dict[str, t.Any]:
    """The members and their judgement, as the module returns them."""
    primary = topology.sole_primary(members)
    found = topology.hazards(members, receivers_of(facts))
    found += patroni.hazards(engine, primary.name if primary else None, [member.name for member in members])
    return {
        "cluster": facts["cluster"],
        "primary": primary.name if primary else None,
        "timeline": primary.timeline if primary else None,
        "members": [
            {
                **member._asdict(),
                "standing": member.standing.value,
                "lag_bytes": topology.lag_bytes(member, primary) if primary else None,
            }
            for member in members
        ],
        "engine": "manual" if engine is None else "patroni",
        "patroni": None if engine is None else engine.as_dict(),
        "hazards": [hazard.as_dict() for hazard in found],
        "verdict": topology.verdict_of(found, tolerated).value,
    }


def receivers_of(facts: dict[str, t.Any]) -> dict[str, str]:
    """Slot and name of each receiver of the cluster."""
    return {slot_name(name): name for name in facts.get("receivers", [])}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "timeout": {"type": "float", "default": 1.0},
            "healthy_within": {"type": "float", "default": 0},
            "primary_within": {"type": "float", "default": 0},
            "without": {"type": "list", "elements": "str", "default": []},
            "tolerated": {"type": "list", "elements": "str", "default": []},
            "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/observer.json"},
        },
        supports_check_mode=True,
    )
    try:
        facts = read_descriptor(module.params["descriptor"])
        facts["members"] = left_over(facts["members"], module.params["without"])
        healthy, led = Deadline(module.params["healthy_within"]), Deadline(module.params["primary_within"])
        while True:
            with ThreadPoolExecutor(max_workers=1) as pool:
                engine = pool.submit(read_engine, facts, timeout=module.params["timeout"])
                members = read_members(facts, timeout=module.params["timeout"], run=run)
            result = as_result(facts, members, engine.result(), module.params["tolerated"])
            unwell = result["verdict"] != Verdict.PASSED.value and not healthy.expired()
            if not unwell and (result["primary"] is not None or led.expired()):
                break
            time.sleep(min(INTERVAL, max(healthy.left(), led.left())))
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()

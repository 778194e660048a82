#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module fencing; module_utils/collect/fencing.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fencing
short_description: Keep a member from acknowledging writes, and prove it
description:
  - A promotion is safe only when the old primary is proven fenced. What cannot be proven is C(unknown), and the module
    then fails.
  - With O(method=host) it runs on the member itself, stops and masks PostgreSQL, leaves a mark that the health agent
    obeys, and proves it by the absence of the postmaster and by what the control file says.
  - With O(method=agent) it runs anywhere, usually on the control node, and asks a fence agent of the ClusterLabs
    interface to switch the host off. Proof is the agent's own C(status), which has to say off.
  - With O(method=quorum) it runs anywhere and changes nothing. It counts who could still confirm a commit to the member
    under synchronous replication. That covers acknowledgement only, not reads, and not sessions that lowered
    C(synchronous_commit); whatever O(detached) names has to stay away from the member until it is fenced otherwise.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  member:
    description: The member that is fenced, for messages.
    type: str
    required: true
  state:
    description: V(fenced) fences and proves it; V(unfenced) takes the mask and the mark away again, for O(method=host).
    type: str
    choices: [fenced, unfenced]
    default: fenced
  method:
    description: How.
    type: str
    required: true
    choices: [host, agent, quorum]
  synchronous_standby_names:
    description: The member's setting of that name, for O(method=quorum).
    type: str
  detached:
    description: >-
      Those of O(synchronous_standby_names) that are proven to receive nothing from the member any more, such as a
      receiver that was stopped.
    type: list
    elements: str
    default: []
  candidate:
    description: >-
      The member that is promoted next, for O(method=quorum). Its promotion is what detaches it, so nothing else may be
      done in between.
    type: str
  agent:
    description:
      - Path or name of the fence agent, for O(method=agent). A name is looked for in C(PATH), C(/usr/sbin), C(/sbin)
        and C(/usr/local/sbin).
    type: path
  options:
    description:
      - The fence agent's options, such as C(ip), C(username), C(password), C(plug). They reach it on stdin.
      - Each value is a secret to Ansible, which masks it wherever it stands in what this module returns.
    type: dict
    default: {}
  timeout:
    description: Seconds for the stop or for the agent's answer.
    type: float
    default: 30
  descriptor:
    description: The file that names this member, for O(method=host).
    type: path
    default: /etc/fraiseql-resilience/member.json
"""

EXAMPLES = r"""
- name: The lost primary's host is off, says its fence agent
  fraiseql.resilience.fencing:
    member: pg-a1
    method: agent
    agent: /usr/sbin/fence_ipmilan
    options:
      ip: 192.0.2.7
      username: fence
      password: "{{ fence_password }}"
  delegate_to: localhost

- name: PostgreSQL is stopped and masked on a host that still answers
  fraiseql.resilience.fencing:
    member: pg-a1
    method: host
  delegate_to: pg-a1

- name: Nobody can confirm a commit to the old primary once pg-a2 is promoted
  fraiseql.resilience.fencing:
    member: pg-a1
    method: quorum
    synchronous_standby_names: ANY 1 ("pg-a2", "repo-a-receiver")
    detached: [repo-a-receiver]
    candidate: pg-a2
  delegate_to: localhost
"""

RETURN = r"""
verdict:
  description: V(passed) if the fence is proven.
  returned: success
  type: str
  sample: passed
proof:
  description: What proves it.
  returned: success
  type: str
  sample: "the fence agent says that pg-a1 is off"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import fencing
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    ResilienceError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import quorum
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict


def own(given: dict[str, t.Any]) -> dict[str, t.Any]:
    """The member that this host is.

    :raises InputError: it is another one than the one that shall be fenced.
    """
    member = armed.member(given["descriptor"])
    if member["name"] != given["member"]:
        raise InputError(
            "this host is another member than the one to fence",
            given=given["member"],
            possible=member["name"],
            next_step="delegate the task to the member itself",
        )
    return member


def act(given: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    if given["method"] != "host" and given["state"] == "unfenced":
        raise InputError(
            f"method {given['method']} is only asked to switch off or to prove",
            given=f"state=unfenced with method={given['method']}",
            possible="state=unfenced with method=host",
            next_step="switch the host on, then run the playbook rejoin",
        )
    if given["method"] == "quorum":
        return by_quorum(given)
    if given["method"] == "agent":
        agent = fencing.Agent(given["agent"], {str(key): str(value) for key, value in given["options"].items()})
        changed, proof = fencing.by_agent(agent, given["member"], given["timeout"], check_mode=check_mode, run=run)
    elif given["state"] == "fenced":
        changed, proof = fencing.by_host(own(given), given["timeout"], check_mode=check_mode, run=run)
    else:
        changed, proof = fencing.undo_host(own(given), check_mode=check_mode, run=run)
    return {"changed": changed, "verdict": "passed", "proof": proof}


def by_quorum(given: dict[str, t.Any]) -> dict[str, t.Any]:
    """Fails unless the argument holds."""
    check = quorum.argue(
        given["member"], given["synchronous_standby_names"], given["detached"], candidate=given["candidate"]
    )
    if check.verdict is not Verdict.PASSED:
        raise UnknownError(
            f"{given['member']} is not proven fenced: {check.reason}",
            given=f"detached: {', '.join(given['detached']) or 'nobody'}; candidate: {given['candidate'] or 'nobody'}",
            next_step="make its host answer, or name its fence agent in the inventory (resilience_fence_agent), or stop"
            " those that may confirm",
        )
    return {"changed": False, "verdict": check.verdict.value, "proof": check.reason}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "member": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["fenced", "unfenced"], "default": "fenced"},
            "method": {"type": "str", "required": True, "choices": ["host", "agent", "quorum"]},
            "synchronous_standby_names": {"type": "str"},
            "detached": {"type": "list", "elements": "str", "default": []},
            "candidate": {"type": "str"},
            "agent": {"type": "path"},
            "options": {"type": "dict", "default": {}, "no_log": True},
            "timeout": {"type": "float", "default": 30},
            "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/member.json"},
        },
        required_if=[("method", "agent", ("agent",)), ("method", "quorum", ("synchronous_standby_names",))],
        supports_check_mode=True,
    )
    try:
        result = act(module.params, module.check_mode)
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()

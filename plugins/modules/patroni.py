#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module patroni; module_utils/collect/patroni.py and armed.py do the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni
short_description: Ask Patroni for what only it may do where it is in charge
description:
  - Runs on a member and talks to its Patroni by the REST API, with the host's certificate.
  - Nothing is promoted, started or stopped behind Patroni's back.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  idempotent:
    support: partial
    details: >-
      Only O(state=configured) and O(state=switched) change nothing a second time; the others act each time.
options:
  state:
    description:
      - V(configured) makes the configuration that all members share hold O(config). It waits for a leader.
      - V(armed) lets the primary ask Patroni for a switchover to O(candidate) once the gateway gives the word
        O(token), and returns once it waits for it. It disarms itself at O(deadline).
      - V(switched) waits until that has happened.
      - V(paused) lets nobody take over, and returns once every member knows it. C(patronictl resume) ends it, and so
        does V(forgotten).
      - V(reinitialized) lets Patroni remove the member's data and build it anew.
      - V(restarted) lets Patroni restart PostgreSQL on this member.
      - V(forgotten) removes what etcd knows of a cluster whose members are all stopped, so that it is begun anew with
        the data that are there. The lease of whoever led has to run out before.
    type: str
    required: true
    choices: [configured, armed, switched, paused, reinitialized, restarted, forgotten]
  config:
    description: What the shared configuration has to hold, for O(state=configured). More than that is left as it is.
    type: dict
  candidate:
    description: Who is to lead. Needed for V(armed).
    type: str
  token:
    description: The word to wait for. Needed for V(armed) and V(switched).
    type: str
  deadline:
    description: Seconds after which what is armed disarms itself.
    type: float
    default: 60
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
- name: Patroni moves the primary once the gateway holds its clients
  fraiseql.resilience.patroni:
    state: armed
    candidate: pg-a2
    token: "{{ token }}"

- name: Patroni builds this member anew
  fraiseql.resilience.patroni:
    state: reinitialized
"""

RETURN = r"""
differences:
  description: What of O(config) was not there.
  returned: for configured
  type: dict
events:
  description: What happened when, each with name, monotonic_ns of this host, and utc.
  returned: for armed and switched
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed, clock
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import patroni
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError, UnknownError

#: Seconds between two looks.
INTERVAL = 0.2
#: What a shared configuration waits for.
LED = "the cluster has a leader and a configuration in etcd"


def act(given: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    member = armed.member(given["descriptor"])
    api = patroni.Api(member)
    state = given["state"]
    if state == "configured":
        return configure(api, given["config"], given["timeout"], check_mode)
    if check_mode:
        return {"changed": state != "switched"}
    if state == "switched":
        said = armed.await_end(armed.SWITCHOVER, given["token"], "switched", given["timeout"])
        return {"changed": False, "events": said["events"]}
    if state == "armed":
        more = [f"--candidate={given['candidate']}"]
        said = armed.arm(armed.SWITCHOVER, given["token"], given["deadline"], member["os_user"], more, run=run)
        return {"changed": True, "events": said["events"]}
    if state == "forgotten":
        patroni.forget(member["cluster"], given["timeout"], run=run)
        return {"changed": True}
    if state == "paused":
        patroni.pause(member["cluster"], given["timeout"], run=run)
        return {"changed": True}
    if state == "reinitialized":
        api.change("reinitialize", "POST", {"force": True}, given["timeout"])
    else:
        api.change("restart", "POST", {}, given["timeout"])
    return {"changed": True}


def configure(api: patroni.Api, wanted: dict[str, t.Any], timeout: float, check_mode: bool) -> dict[str, t.Any]:
    """Bring the shared configuration to what is wanted."""
    found = patroni.differences(wanted, clock.poll(lambda: shared(api), timeout=timeout, interval=INTERVAL, what=LED))
    if found and not check_mode:
        api.change("config", "PATCH", found, 10)
    return {"changed": bool(found), "differences": found}


def shared(api: patroni.Api) -> dict[str, t.Any] | None:
    """The shared configuration; None as long as nobody leads."""
    try:
        config, cluster = api.get("config"), api.get("cluster")
    except UnknownError:
        return None
    if not isinstance(config, dict) or not isinstance(cluster, dict):
        return None
    return config if any(one["role"] == "leader" for one in cluster["members"]) else None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "required": True,
                "choices": ["configured", "armed", "switched", "paused", "reinitialized", "restarted", "forgotten"],
            },
            "config": {"type": "dict"},
            "candidate": {"type": "str"},
            "token": {"type": "str", "no_log": False},
            "deadline": {"type": "float", "default": 60},
            "timeout": {"type": "float", "default": 60},
            "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/member.json"},
        },
        required_if=[
            ("state", "configured", ("config",)),
            ("state", "armed", ("candidate", "token")),
            ("state", "switched", ("token",)),
        ],
        supports_check_mode=True,
    )
    try:
        result = act(module.params, module.check_mode)
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts are kept still, for a while that ends by itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: silence
short_description: Keep alerts still, for a while that ends by itself
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Makes, changes or ends a silence of Alertmanager. Alerts that all of its O(matchers) take tell nobody until it ends.
  - It always ends by itself, it says who wanted it and why, and one that would take every alert is refused.
  - A silence with the same matchers is the same silence.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  diff_mode:
    support: full
options:
  url:
    description: Alertmanager's address.
    type: str
    required: true
  state:
    description: Whether the silence is to be there. V(absent) ends every one with these matchers.
    type: str
    choices: [present, absent]
    default: present
  matchers:
    description:
      - Labels and the values that they must have. A value may begin with C(=~), C(!=) or C(!~), as in PromQL.
      - One that names no alert and no severity takes the watchdog, too, whose outside receiver then calls.
    type: dict
    required: true
  seconds:
    description:
      - How long a new silence lasts. One that is there keeps its end.
      - This or O(until) is needed for O(state=present).
    type: int
  until:
    description: When it ends, with its time zone, such as V(2026-11-26T12:00:00Z). One that is there gets this end.
    type: str
  most_seconds:
    description: The longest that it may last from now on, 2592000 (30 days) at most.
    type: int
    default: 86400
  author:
    description: Who wants it. Needed for O(state=present).
    type: str
  comment:
    description: Why. Needed for O(state=present).
    type: str
  ca:
    description: The authority of Alertmanager's certificate, a PEM file.
    type: path
    default: /etc/fraiseql-resilience/tls/ca.crt
  cert:
    description: The certificate to show to it.
    type: path
    default: /etc/fraiseql-resilience/tls/host.crt
  key:
    description: Its key.
    type: path
    default: /etc/fraiseql-resilience/tls/host.key
  timeout:
    description: Seconds that Alertmanager has for each answer.
    type: float
    default: 10
"""

EXAMPLES = r"""
- name: The rejoin of pg-a2 may be seen without a call
  fraiseql.resilience.silence:
    url: https://observer:9093
    matchers: {alertname: "=~StandbyCutOff|MemberNotReady", instance: pg-a2}
    seconds: 1800
    author: Anna Berg
    comment: Rejoin after the failover of 26 November
  delegate_to: observer

- name: Alerts are heard again
  fraiseql.resilience.silence:
    url: https://observer:9093
    matchers: {alertname: "=~StandbyCutOff|MemberNotReady", instance: pg-a2}
    state: absent
  delegate_to: observer
"""

RETURN = r"""
silence:
  description: The silence, as it is now or, in check mode, as it would be. Without an id in check mode where it is new.
  returned: O(state=present)
  type: dict
  sample:
    id: 9bd1a3f2-5c0e-4a0f-9a53-7bb1fd4c2d7e
    matchers: {alertname: StandbyCutOff, instance: pg-a2}
    author: Anna Berg
    comment: Rejoin after the failover of 26 November
    starts_at: "2026-11-26T11:30:00.000Z"
    ends_at: "2026-11-26T12:00:00.000Z"
ended:
  description: The silences that were ended.
  returned: O(state=absent)
  type: list
  elements: dict
"""

import time
import typing as t
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.alertmanager import Alertmanager
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import silence as judge


def argument_spec() -> dict[str, t.Any]:
    return {
        "url": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "matchers": {"type": "dict", "required": True},
        "seconds": {"type": "int"},
        "until": {"type": "str"},
        "most_seconds": {"type": "int", "default": 86400},
        "author": {"type": "str"},
        "comment": {"type": "str"},
        "ca": {"type": "path", "default": "/etc/fraiseql-resilience/tls/ca.crt"},
        "cert": {"type": "path", "default": "/etc/fraiseql-resilience/tls/host.crt"},
        "key": {"type": "path", "no_log": False, "default": "/etc/fraiseql-resilience/tls/host.key"},
        "timeout": {"type": "float", "default": 10.0},
    }


def act(params: dict[str, t.Any], check_mode: bool, now: float) -> dict[str, t.Any]:
    """The answer; ``now`` in seconds since 1970."""
    tls = {name: params[name] for name in ("ca", "cert", "key")}
    alertmanager = Alertmanager(params["url"], tls, params["timeout"])
    matchers = judge.matchers(params["matchers"])
    if params["state"] == "absent":
        return absent(alertmanager, matchers, check_mode)
    for name in ("author", "comment"):
        if not (params[name] or "").strip():
            raise InputError(f"a silence needs its {name}", given=params[name])
    ends = judge.end(now, params["seconds"], params["until"], params["most_seconds"])
    wanted = judge.Silence(matchers, params["author"], params["comment"], now, ends)
    there, wanted = judge.decide(wanted, alertmanager.silences(), exact=params["until"] is not None)
    if there != wanted and not check_mode:
        wanted = replace(wanted, id=alertmanager.set(wanted))
    return {
        "changed": there != wanted,
        "silence": wanted.as_dict(),
        "diff": {"before": there.as_dict() if there else {}, "after": wanted.as_dict()},
    }


def absent(alertmanager: Alertmanager, matchers: frozenset[judge.Matcher], check_mode: bool) -> dict[str, t.Any]:
    there = [one for one in alertmanager.silences() if one.matchers == matchers]
    for one in there:
        if not check_mode:
            alertmanager.end(one)
    told = [one.as_dict() for one in there]
    return {"changed": bool(there), "ended": told, "diff": {"before": {"silences": told}, "after": {"silences": []}}}


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        mutually_exclusive=[("seconds", "until")],
        required_if=[("state", "present", ("author", "comment")), ("state", "present", ("seconds", "until"), True)],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**act(module.params, module.check_mode, time.time()))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's certificate: for whom, for how long, signed by whom, and shown by what."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_info
short_description: Judge a host's certificate, and what its services show of it
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Looks at the files where the task runs, so on a host at those that are installed, and delegated to the control node
    at those that are to be installed.
  - A service is asked as a client does that verifies authority and name. What it shows has to be the certificate of the
    file, or the service has not read it yet.
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  cert:
    description: The certificate, a PEM file. Intermediate ones may follow in it.
    type: path
    default: /etc/fraiseql-resilience/tls/host.crt
  key:
    description: Its key; looked at if it is given.
    type: path
  ca:
    description: The authorities, a PEM file.
    type: path
    default: /etc/fraiseql-resilience/tls/ca.crt
  more_authorities:
    description: A PEM text with further authorities for RV(bundle), such as those that are installed.
    type: str
    default: ""
  address:
    description: The name or address that peers connect to; it has to be in the certificate.
    type: str
  min_days:
    description: Days that it has to be valid for from now on.
    type: float
    default: 0.0
  not_sooner_than:
    description: The end of the certificate that it replaces, in seconds since 1970.
    type: float
  served:
    description: Ports of this host, at O(address), that have to show the certificate.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: The TCP port.
        type: int
        required: true
      protocol:
        description: Whether TLS begins at once, or is asked for as PostgreSQL's clients do.
        type: str
        choices: [postgres, tls]
        default: tls
requirements:
  - openssl (3.0 or newer)
"""

EXAMPLES = r"""
- name: The certificate that is installed is good for another month, and PostgreSQL shows it
  fraiseql.resilience.certificate_info:
    address: pg-a1
    min_days: 30
    served:
      - {port: 5432, protocol: postgres}
  register: certificate
  failed_when: certificate.verdict != 'passed'
"""

RETURN = r"""
verdict:
  description: V(passed), V(failed), or V(unknown) where a port could not be asked.
  returned: success
  type: str
  sample: passed
checks:
  description: What was looked at, with verdict and reason.
  returned: success
  type: list
  elements: dict
  sample: [{name: it is for pg-a1, verdict: passed, reason: ""}]
certificate:
  description: The host's certificate.
  returned: success
  type: dict
  sample:
    subject: CN = pg-a1
    issuer: CN = lab
    names: ["DNS:pg-a1", "IP Address:198.18.1.11"]
    begins_utc: "2026-11-26T09:00:00Z"
    expires_utc: "2029-02-28T09:00:00Z"
    expires: 1866963600.0
    days_left: 825.0
    fingerprint: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
authorities:
  description: The authorities of O(ca), each as RV(certificate).
  returned: success
  type: list
  elements: dict
bundle:
  description: The authorities of O(more_authorities) and O(ca), each once, as one PEM text.
  returned: success
  type: str
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import certificate as source
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import certificate as judge
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import worst


def argument_spec() -> dict[str, t.Any]:
    return {
        "cert": {"type": "path", "default": "/etc/fraiseql-resilience/tls/host.crt"},
        "key": {"type": "path", "no_log": False},
        "ca": {"type": "path", "default": "/etc/fraiseql-resilience/tls/ca.crt"},
        "more_authorities": {"type": "str", "default": ""},
        "address": {"type": "str"},
        "min_days": {"type": "float", "default": 0.0},
        "not_sooner_than": {"type": "float"},
        "served": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "port": {"type": "int", "required": True},
                "protocol": {"type": "str", "choices": ["postgres", "tls"], "default": "tls"},
            },
        },
    }


def act(params: dict[str, t.Any], run: command.Runner, now: float) -> dict[str, t.Any]:
    """The answer; ``now`` in seconds since 1970.

    :raises InputError: a file that is none, or ports to ask and no address.
    """
    if params["served"] and not params["address"]:
        raise InputError("ports are to be asked, and no address is given", given=params["served"])
    facts = source.facts(params["cert"], params["key"], params["ca"], run)
    authorities = source.read(params["ca"], run)
    before = [source.parse(block, run) for block in source.BLOCK.findall(params["more_authorities"])]
    checks = judge.judge(facts, params["address"], now, params["min_days"], params["not_sooner_than"])
    shown = [source.served(params["address"], one["port"], one["protocol"], params["ca"]) for one in params["served"]]
    checks += judge.judge_served(shown, facts.certificate)
    return {
        "changed": False,
        "verdict": worst(checks).value,
        "checks": [check.as_dict() for check in checks],
        "certificate": facts.certificate.as_dict(now),
        "authorities": [one.as_dict(now) for one in authorities],
        "bundle": source.bundle([*before, *authorities]),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, command.run, time.time()))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

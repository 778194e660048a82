#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look of module detection, on the observer; the action plugin of the same name compares it with the runbooks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: detection
short_description: Tell which runbook it is, and how severe, by what is wrong
description:
  - Runs on an observer and looks at everything at once, each with a deadline. That is the health agent of every
    member, gateway and observer, what M(fraiseql.resilience.cluster_info) finds wrong with the cluster, whether SSH of
    each host answers, and the alerts that fire where P(fraiseql.resilience.monitoring#role) is set up.
  - On the control node it compares what was seen with the signs of each runbook, and asks the fence agents of members
    whose health agent is gone whether their hosts are on.
  - Signs that are there speak for a runbook, signs that are not there against it; so does a little whatever else is
    wrong. A fault that is another component's counts for neither.
  - The severity is computed by what users feel, which data are at risk, which redundancy is left, and how fast the
    error budget goes. A person may raise it freely, and lowers it with a reason alone.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  within:
    description:
      - Seconds to look again and again until a runbook is recognised, which means that it was first in two looks in a
        row, a second apart, with a score above 0.5.
      - V(0) is one look, where the score alone decides.
    type: float
    default: 0
  directory:
    description: Folder on the control node that holds a folder for each runbook; by default those of this collection.
    type: path
  deadline:
    description:
      - Seconds that one look may take, whoever is frozen or cut off; each host has half of them.
      - It may take twice as long where a primary answers and does not commit.
    type: float
    default: 2.0
  severity:
    description: What a person takes it for.
    type: str
    choices: [sev1, sev2, sev3]
  severity_reason:
    description: Why; needed where O(severity) is less than the facts say.
    type: str
    default: ""
  budget_burn:
    description: How many times as fast as the objective allows the error budget goes, where somebody knows it.
    type: float
  places:
    description:
      - What the observer looks at. It is filled in from the inventory on the way there, so a task cannot set it.
    type: dict
  descriptor:
    description: The file that role P(fraiseql.resilience.observer#role) wrote.
    type: path
    default: /etc/fraiseql-resilience/observer.json
seealso:
  - module: fraiseql.resilience.cluster_info
  - module: fraiseql.resilience.runbook_lint
"""

EXAMPLES = r"""
- name: Look until a runbook is recognised, a minute at most
  fraiseql.resilience.detection:
    within: 60
  register: detected

- name: Which one it is
  ansible.builtin.debug:
    msg: "{{ detected.ranked | map(attribute='runbook') | first | default('none') }}"
"""

RETURN = r"""
cluster:
  description: The cluster's name.
  returned: success
  type: str
ranked:
  description: Runbooks that anything speaks for, best first.
  returned: success
  type: list
  elements: dict
  contains:
    runbook:
      description: Its id.
      type: str
    title:
      description: What has happened.
      type: str
    severity:
      description: The severity that the runbook is written for.
      type: str
    severity_rule:
      description: By which facts it is another one.
      type: str
    score:
      description: From 0 to 1.
      type: float
    signs_for:
      description: What speaks for it, in words.
      type: list
      elements: str
    signs_against:
      description: What speaks against it.
      type: list
      elements: str
    signs_unseen:
      description: What nobody could look at.
      type: list
      elements: str
    alerts:
      description: Alerts that fire and that it names.
      type: list
      elements: str
    unexplained:
      description: What is wrong, and is none of its signs.
      type: list
      elements: str
recognised:
  description: Whether the first one is it.
  returned: success
  type: bool
seconds:
  description: Until it was recognised, or until the last look.
  returned: success
  type: float
  sample: 3.1
verdict:
  description: >-
    V(passed) if a runbook is recognised, or everything was seen and nothing is wrong; else V(unknown).
  returned: success
  type: str
wrong:
  description: All that is wrong, in words.
  returned: success
  type: list
  elements: str
unexplained:
  description: What of it the first runbook does not explain.
  returned: success
  type: list
  elements: str
unseen:
  description: What could not be looked at.
  returned: success
  type: list
  elements: str
blind:
  description: Whether nothing could be seen at all.
  returned: success
  type: bool
left_to_people:
  description: Runbooks that nothing that is looked at can tell; somebody has to notice.
  returned: success
  type: list
  elements: str
severity:
  description: What it is taken for; none where nothing is wrong.
  returned: success
  type: str
  sample: sev1
severity_computed:
  description: What the facts say.
  returned: success
  type: str
severity_given:
  description: What a person said, if anybody did.
  returned: success
  type: str
severity_given_reason:
  description: Why.
  returned: success
  type: str
severity_reasons:
  description: By which facts, worst first.
  returned: success
  type: list
  elements: str
screen:
  description: All of it as lines of text.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.signs import look


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "within": {"type": "float", "default": 0},
            "directory": {"type": "path"},
            "deadline": {"type": "float", "default": 2.0},
            "severity": {"type": "str", "choices": ["sev1", "sev2", "sev3"]},
            "severity_reason": {"type": "str", "default": ""},
            "budget_burn": {"type": "float"},
            "places": {"type": "dict"},
            "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/observer.json"},
        },
        supports_check_mode=True,
    )
    params = module.params
    module.exit_json(changed=False, seen=look(params["places"], params["descriptor"], params["deadline"]))


if __name__ == "__main__":
    main()

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the health agent would refuse, before it is told."""

from __future__ import annotations

DOCUMENTATION = r"""
name: health_problem
short_description: What cannot be right in the health agent's configuration
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - The message with which the health agent would refuse its configuration, with the name of the key, what was given and
    what is possible; empty where it takes it. Secrets are not repeated.
positional: _input
options:
  _input:
    description: The configuration.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: What the agent is told can be right
  ansible.builtin.assert:
    that: configuration | fraiseql.resilience.health_problem | length == 0
    fail_msg: "{{ configuration | fraiseql.resilience.health_problem }}"
"""

RETURN = r"""
_value:
  description: The message.
  type: str
  sample: "checks.disk.paths is missing. Nothing was changed."
"""

import json
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.settings import parse


def health_problem(configuration: t.Any) -> str:
    """As the agent reads it: through JSON, so that a number that a template made a text is seen as one."""
    try:
        parse(json.loads(json.dumps(configuration)))
    except InputError as error:
        return str(error.as_result()["msg"])
    return ""


class FilterModule:
    """Made known to Ansible."""

    def filters(self) -> dict[str, t.Callable[[t.Any], str]]:
        return {"health_problem": health_problem}

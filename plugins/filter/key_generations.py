# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generations of the repositories' key, in templates; module_utils/judge/generations.py knows them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: key_generations
short_description: Which repositories each generation of the repositories' key has
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - pgBackRest cannot encrypt a repository anew, so each key has repositories of its own. The generation that serves has
    the numbers 1 and 2, generation n otherwise 10n + 1 and 10n + 2.
  - Numbers and passphrases that cannot be right are an error, which tells no passphrase.
positional: _input
options:
  _input:
    description: The newest generation's passphrase.
    type: str
    required: true
  generation:
    description: Its number.
    type: int
    required: true
  old:
    description: Passphrases of earlier generations by their number.
    type: dict
    default: {}
  serving:
    description: The generation that serves, by default the newest one.
    type: int
"""

EXAMPLES = r"""
- name: While a rotation goes on, both keys are written with
  ansible.builtin.debug:
    msg: >-
      {{ 'the new key' | fraiseql.resilience.key_generations(generation=2, old={1: 'the old one'}, serving=1)
         | rejectattr('written') | length == 0 }}
"""

RETURN = r"""
_value:
  description:
    - The serving generation first, then the newest. Each has C(generation), C(passphrase), C(repos) (its number on the
      repository host, and in the object store), C(suffix) (what it adds to a repository's path) and C(written).
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.generations import generations


def key_generations(
    passphrase: str, generation: t.Any, old: t.Mapping[t.Any, str] | None = None, serving: t.Any = None
) -> list[dict[str, t.Any]]:
    try:
        return [one.as_dict() for one in generations(generation, passphrase, old or {}, serving)]
    except ResilienceError as error:
        raise AnsibleFilterError(error.as_result()["msg"]) from error


class FilterModule:
    """Made known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"key_generations": key_generations}

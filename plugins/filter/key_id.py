# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of a passphrase, in templates."""

from __future__ import annotations

DOCUMENTATION = r"""
name: key_id
short_description: The name of a repository's passphrase
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Sixteen hexadecimal digits, the same everywhere for the same passphrase, which they do not tell. Backups in the
    catalogue say by it which key they need, and escrow is asked by it.
  - Slow on purpose, about a tenth of a second, so that a weak passphrase is not found by its name.
positional: _input
options:
  _input:
    description: The passphrase.
    type: str
    required: true
"""

EXAMPLES = r"""
# ansible localhost -m debug -a 'msg={{ resilience_cipher_passphrase | fraiseql.resilience.key_id }}' -e @vault.yml
- name: The key's name, under which escrow has to know it
  ansible.builtin.debug:
    msg: "{{ resilience_cipher_passphrase | fraiseql.resilience.key_id }}"
"""

RETURN = r"""
_value:
  description: The name.
  type: str
  sample: 3f9a0c1d22b47e58
"""

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.key_id import key_id


class FilterModule:
    """Made known to Ansible."""

    def filters(self) -> dict[str, t.Callable[[t.Any], t.Any]]:
        return {"key_id": lambda passphrase: key_id(str(passphrase))}

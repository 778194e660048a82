#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: key_escrow
short_description: Fetch the repositories' keys from escrow, or tell whether escrow has all that backups need
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - A key has a name, made from its passphrase by the filter P(fraiseql.resilience.key_id#filter). What escrow yields is
    only believed when its name is the one that was asked for.
  - Runs on the control node, so that no key comes from a host that may be the lost one.
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  state:
    description:
      - V(fetched) hands on the keys O(key_ids), and fails unless escrow gives each. The result is never logged.
      - V(checked) judges whether escrow has each key that O(backups) or the O(catalogue) need. It hands on none.
    type: str
    choices: [fetched, checked]
    default: fetched
  key_ids:
    description: Names of the keys that are wanted, with O(state=fetched).
    type: list
    elements: str
    default: []
  backups:
    description: Backups, each with C(label) and C(key_id), with O(state=checked).
    type: list
    elements: dict
    default: []
  catalogue:
    description: The text of a catalogue of backups, one JSON object a line, with O(state=checked).
    type: str
  present:
    description: Labels of the backups that still exist. By default every backup of the O(catalogue) counts.
    type: list
    elements: str
  escrow:
    description:
      - A file of the control node, encrypted by Ansible's vault or not, with passphrases by the key's name.
      - Or a command as a list, with C({key_id}) where the name goes, that prints the passphrase.
      - By default the variable C(resilience_key_escrow). Without one, O(state=checked) says V(unknown).
    type: raw
  cluster:
    description: The cluster whose hosts say C(resilience_key_escrow); by default C(resilience_cluster).
    type: str
  timeout:
    description: Seconds that a command has for each key.
    type: float
    default: 60.0
seealso:
  - plugin: fraiseql.resilience.key_id
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Escrow has every key that a backup needs
  fraiseql.resilience.key_escrow:
    state: checked
    catalogue: "{{ catalogue.content | b64decode }}"
    escrow: [pass, show, "resilience/{key_id}"]
  register: escrow
  failed_when: escrow.verdict != 'passed'

- name: The key that this backup needs comes from escrow
  fraiseql.resilience.key_escrow:
    key_ids: ["{{ backup.key_id }}"]
  register: fetched
  no_log: true
"""

RETURN = r"""
keys:
  description: The passphrases by the keys' names.
  returned: with O(state=fetched); never logged
  type: dict
verdict:
  description: V(passed) if escrow has each key, V(failed) where it has not, V(unknown) where it could not be asked.
  returned: with O(state=checked)
  type: str
  sample: passed
checks:
  description: What was looked at, with verdict and reason.
  returned: with O(state=checked)
  type: list
  elements: dict
  sample: [{name: "key 3f9a0c1d22b47e58: escrow has it", verdict: passed, reason: escrow gives key 3f9a0c1d22b47e58}]
key_ids:
  description: Names of the keys that backups need.
  returned: with O(state=checked)
  type: list
  elements: str
"""

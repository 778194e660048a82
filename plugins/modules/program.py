#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: program
short_description: Install a program that judges as the collection's modules do
description:
  - Packs a program of a role with the collection's C(module_utils) into one executable file, as Python's C(zipapp)
    does, and copies it to the host. What runs there by a timer, without Ansible, thus decides by the same code as a
    playbook.
  - The host needs its own C(/usr/bin/python3) and nothing else for it.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  src:
    description: The program's main file, as M(ansible.builtin.copy) would find it in C(files).
    type: path
    required: true
  dest:
    description: The file on the host. It belongs to root, and everybody may execute it.
    type: path
    required: true
seealso:
  - module: ansible.builtin.copy
"""

EXAMPLES = r"""
- name: The program that takes backups is in place
  fraiseql.resilience.program:
    src: backup.py
    dest: /usr/local/lib/fraiseql-resilience/backup
"""

RETURN = r"""
dest:
  description: The file on the host.
  returned: success
  type: str
  sample: /usr/local/lib/fraiseql-resilience/backup
checksum:
  description: Its SHA-1, as M(ansible.builtin.copy) returns it.
  returned: success
  type: str
"""

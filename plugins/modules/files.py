#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Put the files of a role in place, with one look at all of them
description:
  - Renders and reads all files on the control node, and looks at content, owner, group and mode of all of them on the
    host with one command. Only those that are not as they should be are written, by M(ansible.builtin.copy) and
    M(ansible.builtin.file). A host on which everything is in place thus costs a single command, however many files
    there are.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  files:
    description: The files and directories, in the order in which they are made.
    type: list
    elements: dict
    required: true
    suboptions:
      dest:
        description: The file on the host.
        type: path
        required: true
      template:
        description: The template that it is rendered from, as M(ansible.builtin.template) would find it.
        type: str
      vars:
        description: Variables that only this template sees.
        type: dict
        default: {}
      copy:
        description: The file that it is a copy of, as M(ansible.builtin.copy) would find it in C(files).
        type: str
      program:
        description:
          - The main file of a program, found as O(files[].copy) is. It is packed with the collection's
            C(module_utils) into one executable file, as Python's C(zipapp) does, so that what a timer runs without
            Ansible decides by the same code as a playbook. The host needs its own C(/usr/bin/python3) for it.
        type: str
      content:
        description: The text that it holds.
        type: str
      directory:
        description: Whether it is a directory.
        type: bool
      owner:
        description: Its owner.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      mode:
        description: Its permissions, in octal.
        type: str
        default: "0644"
      validate:
        description: A command that a file has to pass before it is put in place, with C(%s) where its name belongs.
        type: str
seealso:
  - module: ansible.builtin.copy
  - module: ansible.builtin.template
  - module: ansible.builtin.file
"""

EXAMPLES = r"""
- name: The program that takes backups, and its timer, are in place
  fraiseql.resilience.files:
    files:
      - {dest: /var/lib/fraiseql-resilience/backups, directory: true, owner: postgres, group: postgres, mode: "0755"}
      - {dest: /usr/local/lib/fraiseql-resilience/backup, program: backup.py, mode: "0755"}
      - {dest: /etc/systemd/system/resilience-backup.timer, template: resilience-backup.timer.j2}
"""

RETURN = r"""
changed_files:
  description: The files that were written, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/system/resilience-backup.timer]
"""

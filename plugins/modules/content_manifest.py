#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module content_manifest; module_utils/collect/content_manifest.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: content_manifest
short_description: Write down what a member holds at an LSN, so that a restore to it can be compared
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Runs on a member. For each table it counts the rows and hashes their content, and it notes sequences, extensions,
    roles, tablespaces, large objects, databases, catalogs, and the files of the configuration, which no backup holds.
  - On a standby it is exact. Replay is paused for the moment in which every database is given its snapshot, and goes on
    by itself, also where this task is killed.
  - On a primary everything is read twice around a restore point. What moved in between is left out, by name.
  - It is kept in the repositories, encrypted as the backups are. What this task returns holds no content.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  idempotent:
    support: none
    details: Each run takes another manifest.
options:
  repos:
    description: Numbers of the repositories that get it.
    type: list
    elements: int
    default: [1]
  hashed_bytes:
    description:
      - Bytes of each database's tables whose content is hashed, the smallest first. Rows of the others are only
        counted. By default all of it is hashed.
    type: int
  hold_seconds:
    description:
      - Seconds that a standby's replay may stay paused while it is read, where cleanup on the primary disturbs it.
      - Where commits may wait for this standby's replay, it is never paused longer than two seconds.
    type: float
    default: 0.0
  after_lsn:
    description: A standby waits until it has replayed this.
    type: str
  descriptor:
    description: The file that role postgresql wrote.
    type: path
    default: /etc/fraiseql-resilience/member.json
  timeout:
    description: Seconds that reading one database may take.
    type: float
    default: 3600.0
seealso:
  - module: fraiseql.resilience.backup_verify
"""

EXAMPLES = r"""
- name: What the cluster holds is known
  fraiseql.resilience.content_manifest:
    repos: [1, 2]
  register: manifest

- name: A restore is compared with it
  fraiseql.resilience.backup_verify:
    stanza: orders
    manifest: "{{ manifest.name }}"
  delegate_to: repo-a
"""

RETURN = r"""
name:
  description: Its name in the repositories.
  returned: success
  type: str
  sample: 20261126T021500Z-00000001-0-5145B48.json
lsn:
  description: The LSN. All that ends before it is in the manifest, and nothing else.
  returned: success
  type: str
timeline:
  description: The timeline of that LSN.
  returned: success
  type: int
manifest:
  description: What may be shown of it, as how many relations, rows and bytes, and what could not be seen.
  returned: success
  type: dict
"""

import json
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import content_manifest, content_store
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.content import Limits
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError


def argument_spec() -> dict[str, t.Any]:
    return {
        "repos": {"type": "list", "elements": "int", "default": [1]},
        "hashed_bytes": {"type": "int"},
        "hold_seconds": {"type": "float", "default": 0.0},
        "after_lsn": {"type": "str"},
        "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/member.json"},
        "timeout": {"type": "float", "default": 3600.0},
    }


def member_of(path: str) -> dict[str, t.Any]:
    """:raises InputError: this host is no member."""
    try:
        facts: dict[str, t.Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"this host is no member: {error}", given=path, next_step="choose a member") from error
    return facts


def act(params: dict[str, t.Any], *, check_mode: bool, run: command.Runner) -> dict[str, t.Any]:
    member = member_of(params["descriptor"])
    if check_mode:
        return {"changed": True}
    limits = Limits(params["hashed_bytes"], params["hold_seconds"], timeout=params["timeout"])
    manifest = content_manifest.take(member, limits, run=run, after_lsn=params["after_lsn"])
    client = Client(run, member["stanza"], user=member["os_user"])
    name = content_store.name_of(manifest)
    for repo in params["repos"]:
        content_store.put(client, repo, manifest)
    return {
        "changed": True,
        "name": name,
        "lsn": manifest["lsn"],
        "timeline": manifest["timeline"],
        "manifest": content_manifest.summary(manifest),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, check_mode=module.check_mode, run=command.run))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

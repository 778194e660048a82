#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbackrest_verify; judge/repository_files.py judges."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_verify
short_description: Read every file of a repository, and judge it by its checksum
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Runs C(pgbackrest verify), which ends with 0 on corruption as on an empty repository, and judges what it says.
  - It finds files that changed or vanished since they were stored. It does not find that a segment of WAL is missing,
    which M(fraiseql.resilience.recovery_window) does, nor that a backup cannot be restored, which only a restore does.
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  stanza:
    description: The stanza's name.
    type: str
    required: true
  repos:
    description: Numbers of the repositories that are read.
    type: list
    elements: int
    default: [1]
  user:
    description: Operating system user that runs pgBackRest on this host.
    type: str
    default: postgres
  timeout:
    description: Seconds that reading one repository may take.
    type: float
    default: 86400.0
seealso:
  - module: fraiseql.resilience.recovery_window
"""

EXAMPLES = r"""
- name: Every file of both repositories is what was stored
  fraiseql.resilience.pgbackrest_verify:
    stanza: orders
    repos: [1, 2]
  register: files
  failed_when: files.verdict != 'passed'
"""

RETURN = r"""
verdict:
  description: V(failed) for a file that is missing or has changed, V(unknown) where nothing could be read.
  returned: success
  type: str
  sample: passed
checks:
  description: Each archive and each backup, with verdict and reason.
  returned: success
  type: list
  elements: dict
  sample:
    - name: "repository 1: files of backup 20261123-094201F"
      verdict: failed
      reason: "of 1259 files: 1 checksum invalid"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import repository_files
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst


def argument_spec() -> dict[str, t.Any]:
    return {
        "stanza": {"type": "str", "required": True},
        "repos": {"type": "list", "elements": "int", "default": [1]},
        "user": {"type": "str", "default": "postgres"},
        "timeout": {"type": "float", "default": 86400.0},
    }


def act(params: dict[str, t.Any], *, run: command.Runner) -> dict[str, t.Any]:
    client = pgbackrest.Client(run, params["stanza"], user=params["user"], timeout=params["timeout"])
    checks = [check for repo in params["repos"] for check in read(client, repo)]
    return {"changed": False, "verdict": worst(checks).value, "checks": [check.as_dict() for check in checks]}


def read(client: pgbackrest.Client, repo: int) -> list[Check]:
    """One repository. One that cannot be read is unknown."""
    try:
        done = client.call(f"--repo={repo}", "--output=text", "--verbose", "verify", stderr_level="info")
    except CommandError as error:
        return [Check(f"repository {repo}: files", Verdict.UNKNOWN, error.stderr_tail.strip() or error.message)]
    return repository_files.judge(repo, done.stdout, done.stderr)


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, run=command.run))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

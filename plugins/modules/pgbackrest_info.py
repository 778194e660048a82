#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a stanza."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_info
short_description: What pgBackRest holds of a stanza, with each repository's own state
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Backups, archives and repositories as C(pgbackrest info) tells them, in one shape for all versions.
  - C(pgbackrest info) ends with 0 also where a repository cannot be read; this fails then, unless O(unreadable=report).
  - What it calls the first and the last segment of an archive hides what is missing in between. Ask
    M(fraiseql.resilience.recovery_window) what can really be restored.
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  stanza:
    description: The stanza's name.
    type: str
    required: true
  unreadable:
    description: >-
      Whether a repository that cannot be read is an error, or only reported in RV(repositories), RV(checks) and
      RV(verdict).
    type: str
    choices: [error, report]
    default: error
  user:
    description: Operating system user that runs pgBackRest on this host.
    type: str
    default: postgres
  timeout:
    description: Seconds that pgBackRest has for its answer.
    type: float
    default: 120.0
seealso:
  - module: fraiseql.resilience.recovery_window
"""

EXAMPLES = r"""
- name: The repositories are looked at
  fraiseql.resilience.pgbackrest_info:
    stanza: orders
  register: held

- name: The newest backup is a day old at most
  ansible.builtin.assert:
    that: now(utc=true).timestamp() - (held.backups | map(attribute='stopped') | max) < 86400
"""

RETURN = r"""
stanza:
  description: The stanza's name.
  returned: success
  type: str
status:
  description: The stanza's status over all repositories.
  returned: success
  type: dict
  sample: {code: 0, message: ok}
repositories:
  description: The state of each repository.
  returned: success
  type: list
  elements: dict
  sample: [{repo: 1, cipher: aes-256-cbc, code: 0, message: ok, system_id: "7711296582504245999", version: "17"}]
backups:
  description: All backups of the present cluster, oldest first. Times are whole seconds since 1970, sizes bytes.
  returned: success
  type: list
  elements: dict
  contains:
    label:
      description: The backup's label.
      type: str
    error:
      description: V(true) when pages with a broken checksum were found; pgBackRest does not fail for that.
      type: bool
backup_running:
  description: Whether a backup runs now.
  returned: success
  type: bool
percent_complete:
  description: How far it is.
  returned: while a backup runs
  type: float
checks:
  description: Of each repository, whether it can be read, with a verdict and a reason.
  returned: success
  type: list
  elements: dict
  sample:
    - name: repository_2_can_be_read
      verdict: failed
      reason: "repository 2 of stanza orders cannot be read: a host cannot be reached"
verdict:
  description: V(passed) where each of them can be read, else V(failed).
  returned: success
  type: str
version:
  description: The version of pgBackRest.
  returned: success
  type: str
  sample: 2.55.1
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst


def argument_spec() -> dict[str, t.Any]:
    return {
        "stanza": {"type": "str", "required": True},
        "unreadable": {"type": "str", "choices": ["error", "report"], "default": "error"},
        "user": {"type": "str", "default": "postgres"},
        "timeout": {"type": "float", "default": 120.0},
    }


def act(params: dict[str, t.Any], run: command.Runner) -> dict[str, t.Any]:
    client = pgbackrest.Client(run, params["stanza"], user=params["user"], timeout=params["timeout"])
    stanza = client.info()
    if params["unreadable"] == "error":
        pgbackrest.demand_readable(stanza, [repository.number for repository in stanza.repositories])
    checks = [readable(stanza, repository) for repository in stanza.repositories]
    answer: dict[str, t.Any] = {
        "changed": False,
        "stanza": stanza.name,
        "status": {"code": stanza.code, "message": stanza.message},
        "repositories": [described(stanza, repository) for repository in stanza.repositories],
        "backups": [
            backup.as_dict() for repository in stanza.repositories for backup in stanza.backups_of(repository.number)
        ],
        "backup_running": stanza.backup_running,
        "checks": [check.as_dict() for check in checks],
        "verdict": worst(checks).value,
        "version": ".".join(map(str, client.version())),
    }
    if stanza.percent_complete is not None:
        answer["percent_complete"] = stanza.percent_complete
    return answer


def readable(stanza: pgbackrest.Stanza, repository: pgbackrest.Repository) -> Check:
    name = f"repository_{repository.number}_can_be_read"
    if repository.readable:
        return Check(name, Verdict.PASSED, f"repository {repository.number} of stanza {stanza.name} can be read")
    return Check(name, Verdict.FAILED, pgbackrest.why_unreadable(stanza, repository)[0])


def described(stanza: pgbackrest.Stanza, repository: pgbackrest.Repository) -> dict[str, t.Any]:
    """A repository's state, and the cluster that it holds. The system identifier is too long for a JSON number."""
    database = stanza.present(repository.number)
    return {
        **repository.as_dict(),
        "system_id": str(database.system_id) if database else None,
        "version": database.version if database else None,
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, command.run))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbackrest_repository; collect/lost_repository.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_repository
short_description: Leave a lost repository out on a member, and take it back with the WAL that it missed
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Runs on a member. While a repository does not answer, pgBackRest waits for it at each segment that is pushed or
    asked for, so that a promotion takes a minute, and WAL stays on the member until its disk is full.
  - With O(state=lost), the lines of O(repo) in O(config) become comments, and WAL goes to the others at once.
  - With O(state=present), they become lines again if the repository answers, and what another one got in the meantime
    is pushed to it too, segment by segment. A run that was cut off goes on where it stopped. Where nothing was left
    out, nothing is asked.
  - A member with no other repository is refused.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  stanza:
    description: The stanza's name.
    type: str
    required: true
  repo:
    description: Number of the repository.
    type: int
    default: 1
  state:
    description: Whether it is lost or there.
    type: str
    choices: [lost, present]
    required: true
  refill_from:
    description: Number of the repository that has the WAL which O(repo) missed, for O(state=present).
    type: int
  made_anew:
    description:
      - Whether what O(repo) has not is looked for, with O(state=present), although it was never left out here.
      - One that was made anew lacks the histories of the timelines that began before it.
    type: bool
    default: false
  config:
    description: pgBackRest's configuration on this host.
    type: path
    default: /etc/pgbackrest.conf
  user:
    description: Operating system user that runs pgBackRest on this host.
    type: str
    default: postgres
  timeout:
    description: Seconds that each of pgBackRest's commands has.
    type: float
    default: 120.0
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
    details: Where the lines are comments still, what the repository missed is not looked for.
"""

EXAMPLES = r"""
- name: The new primary does not wait for a repository that is lost with its region
  fraiseql.resilience.pgbackrest_repository:
    stanza: orders
    repo: 1
    state: lost
  delegate_to: pg-b1

- name: The repository is back, and gets what it missed
  fraiseql.resilience.pgbackrest_repository:
    stanza: orders
    repo: 1
    state: present
    refill_from: 2
  delegate_to: pg-b1
"""

RETURN = r"""
repositories:
  description: Numbers of the repositories that this host uses now.
  returned: success
  type: list
  elements: int
  sample: [2]
refilled:
  description: How many segments and histories the repository had missed.
  returned: success, with O(state=present)
  type: int
  sample: 12
"""

import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import lost_repository, pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.operation_lock import alone

#: For an earlier one to fill it up. Leaving a lost one out waits for nothing: the primary's disk fills meanwhile.
REFILL_SECONDS = 3600.0


def argument_spec() -> dict[str, t.Any]:
    return {
        "stanza": {"type": "str", "required": True},
        "repo": {"type": "int", "default": 1},
        "state": {"type": "str", "choices": ["lost", "present"], "required": True},
        "refill_from": {"type": "int"},
        "made_anew": {"type": "bool", "default": False},
        "config": {"type": "path", "default": "/etc/pgbackrest.conf"},
        "user": {"type": "str", "default": "postgres"},
        "timeout": {"type": "float", "default": 120.0},
    }


def act(params: dict[str, t.Any], *, check_mode: bool, run: command.Runner) -> dict[str, t.Any]:
    """The module's answer, with the repositories before and after for ``--diff``.

    :raises InputError: there is no such configuration, or no other repository.
    """
    path = Path(params["config"])
    try:
        before = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"pgBackRest's configuration cannot be read: {error}", given=str(path)) from error
    if params["state"] == "lost":
        after, refilled = left_out(params, path, before, check_mode, run), None
    else:
        after, refilled = taken_back(params, path, before, check_mode, run)
    used = [lost_repository.repositories(text) for text in (before, after)]
    told = ["".join(f"repository {number}\n" for number in numbers) for numbers in used]
    answer: dict[str, t.Any] = {
        "changed": after != before or bool(refilled),
        "repositories": used[1],
        "diff": {"before": told[0], "after": told[1]},
    }
    return answer if refilled is None else {**answer, "refilled": refilled}


def left_out(params: dict[str, t.Any], path: Path, before: str, check_mode: bool, run: command.Runner) -> str:
    """The configuration without the repository, written."""
    lost_repository.demand_another(before, params["repo"])
    after = lost_repository.without(before, params["repo"])
    if after != before and not check_mode:
        lost_repository.mark(params["repo"]).touch()
        lost_repository.write(path, after)
        lost_repository.end_waiting(pgbackrest.Client(run, params["stanza"]))
    return after


def taken_back(
    params: dict[str, t.Any], path: Path, before: str, check_mode: bool, run: command.Runner
) -> tuple[str, int]:
    """The configuration with the repository, if it answers, written; and how much it had missed."""
    repo, source = params["repo"], params["refill_from"]
    client = pgbackrest.Client(run, params["stanza"], user=params["user"], timeout=params["timeout"])
    after = lost_repository.with_again(before, repo)
    if after != before and not lost_repository.answers(client, after, path, repo):
        return before, 0
    if check_mode:
        return after, 0
    if after != before:
        # Whether it answers took a while: another one that was left out meanwhile stays so.
        after = lost_repository.with_again(path.read_text(encoding="utf-8"), repo)
        lost_repository.write(path, after)
    if not (lost_repository.mark(repo).exists() or params["made_anew"]):
        return after, 0
    count = 0
    if source is not None:
        count = lost_repository.refill(client, lost_repository.missed(client, client.info(), repo, source), source)
    lost_repository.mark(repo).unlink(missing_ok=True)
    return after, count


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        refills = not module.check_mode and module.params["state"] == "present"
        with alone("repository", "pgbackrest_repository", wait=REFILL_SECONDS, needed=refills):
            result = act(module.params, check_mode=module.check_mode, run=command.run)
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()

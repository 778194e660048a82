#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The points in time that can really be restored."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_window
short_description: Tell which points can really be restored, and judge a target by them
version_added: 0.1.0
author: FraiseQL contributors (@fraiseql)
description:
  - Walks every WAL segment of every repository by its name, so a gap is found that C(pgbackrest info), C(verify) and
    C(check) do not see, and at which a recovery would end with success and without the rows that came later.
  - A window reaches from the end of a backup to the first segment that is missing, along a timeline and its ancestors.
  - Where C(pg_waldump) is there, the last archived commit is read from the WAL itself, as PostgreSQL refuses a target
    behind it.
  - A repository that cannot be read makes the verdict V(unknown), never V(passed).
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  stanza:
    description: The stanza's name.
    type: str
    required: true
  target:
    description: A target to judge.
    type: dict
    suboptions:
      type:
        description: What the target is; V(default) is the end of the archive.
        type: str
        choices: [default, immediate, time, lsn, name, xid]
        default: default
      value:
        description: The target itself. A time needs its offset from UTC.
        type: str
        default: ""
      exclusive:
        description: Whether the target itself is left out.
        type: bool
        default: false
      timeline:
        description: The timeline to follow; by default the one that was archived last.
        type: int
      repo:
        description: The only repository that may be used; no other one is read.
        type: int
  require:
    description: Whether a target that is surely outside fails the task, with the window in the message.
    type: bool
    default: false
  read_wal:
    description: Whether the last segments are read, to know the last archived commit.
    type: bool
    default: true
  bin_dir:
    description: Directory of C(pg_waldump); by default the one that this host's descriptor names.
    type: path
  user:
    description: Operating system user that runs pgBackRest on this host.
    type: str
    default: postgres
  timeout:
    description: Seconds that each of pgBackRest's commands has.
    type: float
    default: 120.0
seealso:
  - module: fraiseql.resilience.pgbackrest_info
  - module: fraiseql.resilience.pgbackrest_restore
"""

EXAMPLES = r"""
- name: The target can be restored
  fraiseql.resilience.recovery_window:
    stanza: orders
    target:
      type: time
      value: 2026-11-23 09:41:00+00
    require: true
  register: window

- name: It is restored from where the judge says
  fraiseql.resilience.pgbackrest_restore:
    type: time
    target: 2026-11-23 09:41:00+00
    repo: "{{ window.target.repo }}"
    set: "{{ window.target.set | default(omit, true) }}"
    timeline: "{{ window.target.timeline }}"
"""

RETURN = r"""
verdict:
  description: V(passed) if every repository is whole, V(failed) for a gap or worse, V(unknown) for what cannot be read.
  returned: success
  type: str
  sample: passed
checks:
  description: What was looked at, with verdict and reason.
  returned: success
  type: list
  elements: dict
  sample: [{name: "repository 1: WAL has no gap", verdict: passed, reason: ""}]
windows:
  description: Each unbroken stretch of points that can be restored.
  returned: success
  type: list
  elements: dict
  sample:
    - repo: 1
      timeline: 1
      from_lsn: 0/9000158
      from_time: "2026-11-23 09:42:04+00"
      to_lsn: 0/13000000
      to_time: "2026-11-23 09:48:23.125000+00"
      exact: true
      first_missing: "000000010000000000000013"
      ends_in_gap: false
      backups: [20261123-094201F]
gaps:
  description: Every hole in every timeline of every repository.
  returned: success
  type: list
  elements: dict
  sample: [{repo: 1, timeline: 1, first: "00000001000000000000000C", last: "00000001000000000000000C", segments: 1}]
timelines:
  description: Per repository the timeline archived last, and those that recovery along it never reads.
  returned: success
  type: list
  elements: dict
  sample:
    - {repo: 1, newest: 2, aside: [], last_segment: "000000020000000000000014", last_time: "2026-11-23 09:48:25+00"}
target:
  description: The judgement of the target.
  returned: when O(target) was given
  type: dict
  contains:
    inside:
      description: Whether it can be restored; none where only the WAL itself could tell.
      type: bool
    verdict:
      description: The same as a verdict.
      type: str
    reason:
      description: Why, with the window.
      type: str
    repo:
      description: The repository to restore from.
      type: int
    set:
      description: The backup to begin with.
      type: str
    timeline:
      description: The timeline to follow.
      type: int
"""

import json
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import archive, keys, pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import window
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst

DESCRIPTORS = ("/etc/fraiseql-resilience/repository.json", "/etc/fraiseql-resilience/member.json")


def argument_spec() -> dict[str, t.Any]:
    return {
        "stanza": {"type": "str", "required": True},
        "target": {
            "type": "dict",
            "options": {
                "type": {"type": "str", "choices": list(window.TYPES), "default": "default"},
                "value": {"type": "str", "default": ""},
                "exclusive": {"type": "bool", "default": False},
                "timeline": {"type": "int"},
                "repo": {"type": "int"},
            },
        },
        "require": {"type": "bool", "default": False},
        "read_wal": {"type": "bool", "default": True},
        "bin_dir": {"type": "path"},
        "user": {"type": "str", "default": "postgres"},
        "timeout": {"type": "float", "default": 120.0},
    }


def bin_dir_of(params: dict[str, t.Any]) -> str | None:
    """Where pg_waldump is; None where nothing says so, then the end of the WAL stays unread."""
    if not params["read_wal"]:
        return None
    if params["bin_dir"]:
        return str(params["bin_dir"])
    for path in DESCRIPTORS:
        if Path(path).is_file():
            return str(json.loads(Path(path).read_text(encoding="utf-8"))["bin_dir"])
    return None


def act(params: dict[str, t.Any], run: command.Runner) -> dict[str, t.Any]:
    given = params["target"]
    wanted = None
    if given is not None:
        wanted = window.Target(given["type"], given["value"], given["exclusive"], given["timeline"])
        window.demand_sound(wanted)
    client = pgbackrest.Client(run, params["stanza"], user=params["user"], timeout=params["timeout"])
    # One that is not asked for may be unreachable, and would be waited for.
    only = given["repo"] if given is not None else None
    stanza = client.info(only)
    bin_dir = bin_dir_of(params)
    read, checks = [], []
    for repository in stanza.repositories:
        if only not in (None, repository.number):
            continue
        name = f"repository {repository.number}: it can be read"
        try:
            pgbackrest.demand_readable(stanza, [repository.number])
            held = archive.holdings(
                client, stanza, repository.number, bin_dir, wanted.timeline if wanted is not None else None
            )
        except ResilienceError as error:
            checks.append(Check(name, Verdict.UNKNOWN, told(str(error), stanza.name)))
            continue
        own = window.windows(held)
        checks += [Check(name, Verdict.PASSED, ""), *window.judge_repository(held, own)]
        read.append((held, own))
    answer: dict[str, t.Any] = {
        "changed": False,
        "verdict": worst(checks).value,
        "checks": [check.as_dict() for check in checks],
        "windows": [stretch.as_dict() for _held, own in read for stretch in own],
        "gaps": [gap for held, _own in read for gap in window.gaps(held.chain)],
        "timelines": [described(held) for held, _own in read],
    }
    if wanted is not None:
        judged = window.judge_target(wanted, read)
        answer["target"] = judged.as_dict()
        if params["require"] and judged.inside is False:
            unread = [check.reason for check in checks if check.verdict is Verdict.UNKNOWN]
            raise InputError(
                "; ".join([judged.reason, *unread]),
                next_step="choose a target inside the window, or another timeline or repository",
            )
    return answer


def told(reason: str, stanza: str) -> str:
    """Why a repository cannot be read; where its key is wrong, with the names of keys."""
    named = keys.wrong(stanza) if pgbackrest.WRONG_KEY in reason else ""
    return f"{reason} ({named})" if named else reason


def described(held: window.Holdings) -> dict[str, t.Any]:
    """A repository's newest timeline, and what lies aside of it."""
    chain = held.chain
    newest = chain.newest()
    if newest is None:
        return {"repo": chain.repo, "newest": None, "aside": [], "last_segment": None, "last_time": None}
    timeline = chain.timelines[newest]
    return {
        "repo": chain.repo,
        "newest": newest,
        "aside": window.strays(chain, newest),
        "last_segment": chain.name(newest, timeline.spans[-1].last),
        "last_time": window.utc(timeline.last_time),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, command.run))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

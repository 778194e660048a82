#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is usual on this host, made of the answers that its health agent has counted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: baseline
short_description: Make a baseline of how long a check's answers take, by hour of the week
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - The health agent counts how long the answers of its checks C(latency) and C(heartbeat) take. This makes a baseline
    of them - median, 95th and 99th percentile for each hour of the week in UTC, with the number of samples - that the
    agent's limits follow from then on, without a restart.
  - A baseline that is there stays as it is, unless O(rebase=true); what was before is kept beside it under its version.
  - With too few samples there is none, and nothing is changed.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: By hour, the 95th percentile before and after.
  idempotent:
    support: partial
    details: With O(rebase=true) each run makes another version.
options:
  check:
    description: The check, as C(health_checks) names it.
    type: str
    required: true
  weeks:
    description: How far back samples count.
    type: int
    default: 4
  masked:
    description: >-
      Incidents, each with C(begin_utc) and C(end_utc) in ISO 8601: what was counted in a time that touches one is left
      out.
    type: list
    elements: dict
    default: []
  least_samples:
    description: An hour of the week with fewer samples has no baseline; the check's own limits count there.
    type: int
    default: 1000
  least_hours:
    description: With fewer hours that have enough samples, no baseline is made.
    type: int
    default: 24
  rebase:
    description: Whether a baseline that is there gives way to a new one.
    type: bool
    default: false
  directory:
    description: Where the agent keeps what it counts, with a folder for each check.
    type: path
    default: /var/lib/fraiseql-resilience/latencies
seealso:
  - module: fraiseql.resilience.availability_record
"""

EXAMPLES = r"""
- name: Limits follow what is usual, a failover apart
  fraiseql.resilience.baseline:
    check: latency
    masked:
      - {begin_utc: "2026-11-26T18:00:00Z", end_utc: "2026-11-26T18:20:00Z"}
"""

RETURN = r"""
version:
  description: That of the baseline; each rebase counts one up.
  returned: success
  type: int
  sample: 1
hours:
  description: By hour of the week (0 is Monday 00:00 to 01:00 UTC), what is usual, in seconds.
  returned: success
  type: dict
  sample: {"9": {"samples": 14400, "p50": 0.0003, "p95": 0.0007, "p99": 0.002}}
masked_samples:
  description: How many samples were left out for incidents.
  returned: success
  type: int
problems:
  description: What of the samples could not be read, in words.
  returned: success
  type: list
  elements: str
"""

import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import journal, latencies, records
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    RefusedError,
    ResilienceError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import baseline
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import DAY, moment

Answer = dict[str, t.Any]


def argument_spec() -> dict[str, t.Any]:
    return {
        "check": {"type": "str", "required": True},
        "weeks": {"type": "int", "default": 4},
        "masked": {"type": "list", "elements": "dict", "default": []},
        "least_samples": {"type": "int", "default": 1000},
        "least_hours": {"type": "int", "default": 24},
        "rebase": {"type": "bool", "default": False},
        "directory": {"type": "path", "default": str(latencies.FOLDER)},
    }


def act(params: Answer, *, check_mode: bool, now: float) -> Answer:
    folder = Path(params["directory"]) / params["check"]
    demand_known(folder, params["check"])
    path = folder / latencies.BASELINE
    before = latencies.read(path)
    if before is not None and not params["rebase"]:
        return told(before, changed=False)
    kept = journal.read(folder)
    found = baseline.summed(kept.records, now - params["weeks"] * 7 * DAY, spans(params["masked"]))
    after = baseline.made(
        found,
        least_samples=params["least_samples"],
        least_hours=params["least_hours"],
        version=1 + (0 if before is None else int(before.get("version", 0))),
        now=now,
    )
    if not check_mode:
        if before is not None:
            records.replace(folder / f"baseline-{before.get('version', 0)}.json", before)
        records.replace(path, after)
    answer = told(after, changed=True, problems=[*kept.problems, *found.problems])
    return {**answer, "diff": {"before": shown(before), "after": shown(after)}}


def demand_known(folder: Path, check: str) -> None:
    """
    :raises RefusedError: no such check counts its answers here.
    """
    if folder.is_dir():
        return
    known = sorted(one.name for one in folder.parent.iterdir()) if folder.parent.is_dir() else []
    raise RefusedError(
        "no check of this name has counted answers on this host",
        given=check,
        possible=", ".join(known) or "none: the agent has no check with a baseline",
        next_step="set health_baselines, run playbook site, and wait for samples",
    )


def spans(masked: t.Sequence[Answer]) -> list[baseline.Span]:
    """
    :raises InputError: an incident has no times that can be read.
    """
    found = []
    for one in masked:
        begin, end = moment(one, "begin_utc"), moment(one, "end_utc")
        if begin is None or end is None or end < begin:
            raise InputError(
                "an incident needs begin_utc and end_utc, in this order",
                given=one,
                possible="2026-11-26T18:00:00Z",
            )
        found.append((begin, end))
    return found


def told(one: Answer, *, changed: bool, problems: t.Sequence[str] = ()) -> Answer:
    known = {name: one.get(name) for name in ("version", "hours", "masked_samples")}
    return {"changed": changed, **known, "problems": list(problems)}


def shown(one: Answer | None) -> str:
    """A line an hour, as a diff has them."""
    hours = {} if one is None else one.get("hours", {})
    return "".join(f"hour {hour}: p95 {usual['p95']} s of {usual['samples']}\n" for hour, usual in hours.items())


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, check_mode=module.check_mode, now=time.time()))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

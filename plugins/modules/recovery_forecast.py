#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each kind of recovery would take."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_forecast
short_description: Predict how long each kind of recovery takes, before anyone needs it
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Learns from every verification how fast backups are copied and WAL is replayed, and predicts from the size of the
    database and the WAL since its last backup how long a recovery takes, with an interval.
  - What was measured fewer than three times is V(unknown) and has no number.
  - Warns before an objective is missed, as the database grows or storage gets slower.
  - Runs on the repository host, where the records are. What recovery_window tells of the end of the archive makes
    RV(recoveries) exact.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  idempotent:
    support: partial
    details: With O(record=true) each run adds a line.
options:
  stanza:
    description: The stanza's name.
    type: str
    required: true
  objectives:
    description: What recovery is judged by, as C(resilience_objectives); C(rto_seconds) of it is used.
    type: dict
    default: {}
  windows:
    description: RV(fraiseql.resilience.recovery_window#module:windows), which tells where each archive ends.
    type: list
    elements: dict
    default: []
  catalogue:
    description: Records of backups, instead of those on this host.
    type: list
    elements: dict
  verifications:
    description: Records of verifications, instead of those on this host.
    type: list
    elements: dict
  forecasts:
    description: Forecasts that were kept, instead of those on this host.
    type: list
    elements: dict
  repos:
    description: Numbers of the repositories; by default those that this host's descriptor names.
    type: list
    elements: int
  record:
    description: Whether the forecast is kept beside the verifications, which test it later.
    type: bool
    default: false
  directory:
    description: Where this host keeps its records.
    type: path
    default: /var/lib/fraiseql-resilience
seealso:
  - module: fraiseql.resilience.recovery_window
  - module: fraiseql.resilience.readiness
"""

EXAMPLES = r"""
- name: How long would a recovery take?
  fraiseql.resilience.recovery_forecast:
    stanza: orders
    objectives: "{{ resilience_objectives }}"
    windows: "{{ window.windows }}"
  register: forecast

- name: A restore is expected to keep the objective
  ansible.builtin.assert:
    that: forecast.verdict == 'passed'
"""

RETURN = r"""
verdict:
  description: >-
    V(passed) if the whole interval of each promised recovery keeps the objective, V(failed) if one is expected to miss
    it, V(unknown) if an interval reaches over it, or nothing was learned yet.
  returned: success
  type: str
  sample: passed
recoveries:
  description: >-
    Each kind of recovery: V(restore_newest), V(pitr), V(restore_repo2), V(delta_restore), V(verification_standard).
    Seconds are none where RV(recoveries[].reason) says why they are unknown.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: restore_newest
      repo: 1
      seconds: 41.2
      low: 36.0
      high: 47.5
      basis: 9
      reason: ""
      restore_seconds: 33.1
      replay_seconds: 8.1
      bytes: 5368709120
      wal_bytes: 268435456
  contains:
    reason:
      description: Why it is unknown, or what is not certain.
      type: str
checks:
  description: Each promised recovery held against the objective, with verdict and reason.
  returned: success
  type: list
  elements: dict
warnings_told:
  description: What will miss an objective, and what could not be read, each with C(code) and C(detail).
  returned: success
  type: list
  elements: dict
  sample: [{code: growth, detail: "the database grows by 812 MiB a day: in 31 days a restore takes longer than 3600 s"}]
errors:
  description: >-
    How far past forecasts were off: C(n), C(median_percent), C(max_percent), C(within_interval), and the C(tests).
  returned: success
  type: dict
forecast:
  description: All of it as one record, as it is kept.
  returned: success
  type: dict
verified:
  description: The newest verification of each repository and level.
  returned: success
  type: list
  elements: dict
"""

import json
import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import forecasting
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import verified

DESCRIPTOR = Path("/etc/fraiseql-resilience/repository.json")


def argument_spec() -> dict[str, t.Any]:
    lists = {"type": "list", "elements": "dict"}
    return {
        "stanza": {"type": "str", "required": True},
        "objectives": {"type": "dict", "default": {}},
        "windows": {**lists, "default": []},
        "catalogue": lists,
        "verifications": lists,
        "forecasts": lists,
        "repos": {"type": "list", "elements": "int"},
        "record": {"type": "bool", "default": False},
        "directory": {"type": "path", "default": str(records.ROOT)},
    }


def repos_of(params: dict[str, t.Any], descriptor: Path = DESCRIPTOR) -> list[int]:
    """The repositories that there are; the first where nothing says so."""
    if params["repos"]:
        return [int(number) for number in params["repos"]]
    if descriptor.is_file():
        return [int(number) for number in json.loads(descriptor.read_text(encoding="utf-8"))["repos"]]
    return [1]


def act(params: dict[str, t.Any], now: float, *, check_mode: bool = False) -> dict[str, t.Any]:
    read = forecasting.read(
        params["stanza"],
        repos=repos_of(params),
        root=Path(params["directory"]),
        windows=params["windows"],
        given={name: params[name] for name in forecasting.NAMES},
    )
    made = forecasting.foretold(read, params["objectives"], now, keep=params["record"] and not check_mode)
    return {
        "changed": params["record"],
        "verdict": made["verdict"],
        "recoveries": made["recoveries"],
        "checks": made["checks"],
        # Ansible prints what is called "warnings".
        "warnings_told": made["warnings"],
        "errors": made["errors"],
        "forecast": made,
        "verified": verified.newest(read.known.verifications),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, time.time(), check_mode=module.check_mode))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

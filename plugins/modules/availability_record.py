#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an observer's synthetic transactions have seen of the service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: availability_record
short_description: Read what an observer's synthetic transactions have seen
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - The health agent of an observer commits a row through the gateway each second, reads it back, and records what came
    of it. This reads the record; nothing is changed.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  month:
    description: The month, as V(2026-11), in UTC; by default the last 30 days.
    type: str
  directory:
    description: Where the record is.
    type: path
    default: /var/lib/fraiseql-resilience/availability
seealso:
  - module: fraiseql.resilience.availability_report
"""

EXAMPLES = r"""
- name: Read what was recorded in November
  fraiseql.resilience.availability_record:
    month: 2026-11
  register: record
"""

RETURN = r"""
lines:
  description: >-
    Transactions in a row with one outcome, which is C(committed), C(failed) or C(unknown), from C(utc) on for
    C(seconds). Of commits the time begins when the first one was acknowledged. After C(silence_seconds) without a next
    one, nobody looked.
  returned: success
  type: list
  elements: dict
  sample:
    - schema: fraiseql.resilience/availability/1
      utc: "2026-11-26T18:00:00.412Z"
      seconds: 3599.2
      outcome: committed
      transactions: 3599
      slowest_seconds: 0.021
      reason: ""
      silence_seconds: 10.0
problems:
  description: What of the record could not be read, in words.
  returned: success
  type: list
  elements: str
"""

import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import journal
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.availability import FOLDER
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import availability, period


def argument_spec() -> dict[str, t.Any]:
    return {"month": {"type": "str"}, "directory": {"type": "path", "default": str(FOLDER)}}


def act(params: dict[str, t.Any], now: float) -> dict[str, t.Any]:
    asked = period.period_of(params["month"], now)
    kept = journal.read(Path(params["directory"]))
    lines = [line for line in kept.records if availability.touches(line, asked)]
    return {"changed": False, "lines": lines, "problems": list(kept.problems)}


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, time.time()))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

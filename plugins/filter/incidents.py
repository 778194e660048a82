# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times of incidents, from what observers recorded."""

from __future__ import annotations

DOCUMENTATION = r"""
name: incidents
short_description: Times in which a service was not well, with a margin
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - The times of failed transactions in what M(fraiseql.resilience.availability_record) answered, as
    M(fraiseql.resilience.baseline) wants its O(fraiseql.resilience.baseline#module:masked).
positional: _input
options:
  _input:
    description: RV(fraiseql.resilience.availability_record#module:lines), of one or of several observers together.
    type: list
    elements: dict
    required: true
  margin:
    description: Seconds before and after each, in which the service was not itself either.
    type: float
    default: 300
"""

EXAMPLES = r"""
- name: Limits follow what is usual, incidents apart
  fraiseql.resilience.baseline:
    check: latency
    masked: "{{ record.lines | fraiseql.resilience.incidents }}"
"""

RETURN = r"""
_value:
  description: From when to when, in UTC.
  type: list
  elements: dict
  sample: [{begin_utc: "2026-11-26T17:55:00.000Z", end_utc: "2026-11-26T18:06:10.000Z"}]
"""

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.availability import instant
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import moment, number

Line = t.Mapping[str, t.Any]


def incidents(lines: t.Sequence[Line], margin: float = 300.0) -> list[dict[str, str]]:
    found = []
    for line in lines:
        begin, seconds = moment(line, "utc"), number(line, "seconds")
        if line.get("outcome") == "failed" and begin is not None and seconds is not None:
            found.append({"begin_utc": instant(begin - margin), "end_utc": instant(begin + seconds + margin)})
    return found


class FilterModule:
    """Made known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"incidents": incidents}

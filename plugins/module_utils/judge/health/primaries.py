# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many members serve as primary, seen from outside: it has to be one. Pure.

Each of two primaries is well by itself, and takes writes that the other one never sees.
"""

from __future__ import annotations

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, Status


def judge(leads: t.Mapping[str, bool | None]) -> list[Finding]:
    """``leads``: whether each member serves as primary; None where it gave no answer."""
    serving = [name for name, answer in leads.items() if answer]
    unseen = [name for name, answer in leads.items() if answer is None]
    said = f"{len(serving)} of {len(leads)} members serve as primary"
    if serving:
        said += f": {', '.join(serving)}"
    if unseen:
        said += f"; no answer: {', '.join(unseen)}"
    return [Finding(_status(len(serving), len(unseen)), said, "serving", float(len(serving)))]


def _status(serving: int, unseen: int) -> Status:
    """Whoever gives no answer may serve all the same: as the only one, or as the second."""
    if serving > 1:
        return Status.FAIL
    if serving == 1:
        return Status.WARN if unseen else Status.PASS
    return Status.UNKNOWN if unseen else Status.FAIL

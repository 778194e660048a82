# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts: passed, failed or unknown. What was skipped or could not be looked at is unknown, never passed."""

from __future__ import annotations

import enum
import typing as t
from dataclasses import asdict, dataclass


class Verdict(str, enum.Enum):
    """Stable words: reports, dashboards and exit codes depend on them."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, what was found, and why that means what it means."""

    name: str
    verdict: Verdict
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {**asdict(self), "verdict": self.verdict.value}


def worst(checks: t.Iterable[Check]) -> Verdict:
    """The verdict of all checks together: one failure fails, else one unknown is unknown; no checks prove nothing."""
    verdicts = {check.verdict for check in checks}
    if Verdict.FAILED in verdicts:
        return Verdict.FAILED
    if Verdict.UNKNOWN in verdicts or not verdicts:
        return Verdict.UNKNOWN
    return Verdict.PASSED

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, against what was promised."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

#: Days that an availability objective is reckoned over, unless it says so itself.
WINDOW_DAYS = 30
KNOWN = (
    "rto_seconds",
    "rpo_seconds",
    "rpo_transactions",
    "availability_percent",
    "availability_window_days",
    "retention_days",
)


@dataclass(frozen=True)
class Measured:
    """``None`` means that it could not be measured, which never passes."""

    rto_seconds: float | None
    rpo_seconds: float | None
    rpo_transactions: int | None
    resolution_seconds: float | None


def availability_budget_seconds(percent: float, days: float) -> float:
    """How long a service may be down in so many days: 99.95 % of 30 days leaves 1296 s."""
    return round((100.0 - percent) / 100.0 * days * 86400, 3)


def problems(objectives: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the objectives themselves."""
    found = [f"{name} is no objective; possible: {', '.join(KNOWN)}" for name in objectives if name not in KNOWN]
    for name in KNOWN:
        value = objectives.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            found.append(f"{name} must be a number of at least 0, not {value!r}")
        elif name == "availability_percent" and value > 100:
            found.append(f"{name} must be at most 100, not {value!r}")
    return found


def judge(objectives: t.Mapping[str, t.Any], measured: Measured) -> list[Check]:
    """One check for each objective that one recovery can meet or miss."""
    found = []
    resolution = "" if measured.resolution_seconds is None else f", resolution {measured.resolution_seconds:g} s"
    if (limit := objectives.get("rto_seconds")) is not None:
        found.append(_at_most("rto", measured.rto_seconds, limit, f"s{resolution}", "no recovery was measured"))
    if (limit := objectives.get("rpo_seconds")) is not None:
        found.append(_at_most("rpo_seconds", measured.rpo_seconds, limit, "s", "the rows could not be compared"))
    if (limit := objectives.get("rpo_transactions")) is not None:
        lost = measured.rpo_transactions
        found.append(_at_most("rpo_transactions", lost, limit, "lost transactions", "the rows could not be compared"))
    if (percent := objectives.get("availability_percent")) is not None:
        days = objectives.get("availability_window_days") or WINDOW_DAYS
        found.append(_availability(percent, days, measured.rto_seconds))
    return found


def _at_most(name: str, value: float | None, limit: float, unit: str, unseen: str) -> Check:
    if value is None:
        return Check(name, Verdict.UNKNOWN, f"{unseen}; the objective is {limit:g} {unit}")
    verdict = Verdict.PASSED if value <= limit else Verdict.FAILED
    return Check(name, verdict, f"{value:.6g} of at most {limit:g} {unit}")


def _availability(percent: float, days: float, outage: float | None) -> Check:
    budget = availability_budget_seconds(percent, days)
    promise = f"the {budget:g} s that {percent:g} % leaves in {days:g} days"
    if outage is None:
        return Check("availability", Verdict.UNKNOWN, f"no recovery was measured against {promise}")
    if outage > budget:
        return Check("availability", Verdict.FAILED, f"an outage of {outage:.3f} s is more than {promise}")
    share = 100 * outage / budget if budget else 0.0
    return Check("availability", Verdict.PASSED, f"an outage of {outage:.3f} s is {share:.2g} % of {promise}")

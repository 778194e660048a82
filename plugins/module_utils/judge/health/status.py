# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of one component: what was found, how old that is, and what it means. Pure.

Unknown is a status of its own. It is never better than a warning, and no check that looked at nothing passes.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass


class Status(str, enum.Enum):
    """Stable words: endpoints, metrics and alerts depend on them."""

    PASS = "pass"  # noqa: S105
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"

    @property
    def serves(self) -> bool:
        """Whether a load balancer may send traffic: what is unknown gets none."""
        return self in {Status.PASS, Status.WARN}

    @property
    def word(self) -> str:
        """The word of application/health+json, which has none for unknown."""
        return self.value if self.serves else Status.FAIL.value


ORDER = (Status.PASS, Status.WARN, Status.UNKNOWN, Status.FAIL)


def worst(statuses: t.Iterable[Status]) -> Status:
    """The status of all together; of nothing it is unknown."""
    return max(statuses, key=ORDER.index, default=Status.UNKNOWN)


@dataclass(frozen=True)
class Finding:
    """One thing that was measured. ``of`` says which one of several: a mount point, a slot."""

    status: Status
    reason: str
    measure: str
    value: float | None = None
    unit: str = ""
    of: str = ""


@dataclass(frozen=True)
class Look:
    """The last look at a component: findings, or why there are none.

    ``began`` is on the monotonic clock, before anything was asked, so an age is never told too low.
    """

    began: float
    seen_at: str
    findings: tuple[Finding, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Judged:
    """A component's own status, without what it needs."""

    status: Status
    reason: str
    age: float | None = None


NEVER = Judged(Status.UNKNOWN, "it has not been looked at yet")


def judge(look: Look | None, now: float, stale_after: float) -> Judged:
    """What the last look means at ``now``: a result that is too old is unknown, whatever it was."""
    if look is None:
        return NEVER
    age = max(0.0, now - look.began)
    if age > stale_after:
        return Judged(Status.UNKNOWN, f"the last look is {age:.1f} s old (limit {stale_after:g} s): it hangs", age)
    if look.error is not None:
        return Judged(Status.UNKNOWN, look.error, age)
    status = worst(finding.status for finding in look.findings)
    wrong = [finding.reason for finding in look.findings if finding.status is not Status.PASS]
    good = [finding.reason for finding in look.findings]
    return Judged(status, "; ".join(wrong or good) or "nothing was found to look at", age)


def at_most(
    measure: str, value: float | None, limits: tuple[float, float], unit: str, what: str, of: str = ""
) -> Finding:
    """A value that must not be high: at the first limit it warns, at the second it fails. None is unknown."""
    reached = [value is not None and value >= limit for limit in limits]
    return _limited(measure, value, limits, unit, what, of, reached)


def at_least(
    measure: str, value: float | None, limits: tuple[float, float], unit: str, what: str, of: str = ""
) -> Finding:
    """A value that must not be low."""
    reached = [value is not None and value <= limit for limit in limits]
    return _limited(measure, value, limits, unit, what, of, reached)


#: A value that was too high is well again below this part of its limit: at the limit itself, it would flap.
RELEASE = 0.8


def held(limits: tuple[float, float], before: Status) -> tuple[float, float]:
    """The limits for a value that had this status before."""
    warn, fail = limits
    return (
        warn * RELEASE if before in {Status.WARN, Status.FAIL} else warn,
        fail * RELEASE if before is Status.FAIL else fail,
    )


def _limited(
    measure: str,
    value: float | None,
    limits: tuple[float, float],
    unit: str,
    what: str,
    of: str,
    reached: t.Sequence[bool],
) -> Finding:
    if value is None:
        return Finding(Status.UNKNOWN, f"{what} is not known", measure, None, unit, of)
    status, limit = Status.PASS, ""
    if reached[1]:
        status, limit = Status.FAIL, f" (limit {told(limits[1], unit)})"
    elif reached[0]:
        status, limit = Status.WARN, f" (warns at {told(limits[0], unit)})"
    return Finding(status, f"{what}: {told(value, unit)}{limit}", measure, value, unit, of)


def told(value: float, unit: str) -> str:
    text = f"{value:.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"
    return f"{text} {unit}".rstrip()

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several places see of one service: a majority of those that see anything at all. Pure.

A place that cannot reach its own control target has lost its network, so what it says of the service says nothing: it
is left out, and not counted as a failure. Without a quorum, or with a tie, nothing is known.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, Status

#: Two places cannot outvote each other.
LEAST = 3


@dataclass(frozen=True)
class Sighting:
    """What one place sees: the service, and a target that has nothing to do with the service."""

    vantage: str
    service: Status
    control: Status
    reason: str = ""


def demand_enough(vantages: t.Sequence[str]) -> None:
    """:raises InputError: there are too few places, or two of the same name."""
    if len(set(vantages)) != len(vantages):
        raise InputError("each vantage point has a name of its own", given=", ".join(vantages))
    if len(vantages) < LEAST:
        raise InputError(
            "fewer vantage points than three cannot outvote one that is wrong",
            given=", ".join(vantages) or "none",
            possible=f"{LEAST} or more, in different regions",
        )


def judge(sightings: t.Sequence[Sighting]) -> list[Finding]:
    """One finding: k of n see the service fail, and who was left out."""
    used = [one for one in sightings if one.control.serves and one.service is not Status.UNKNOWN]
    left_out = [one.vantage for one in sightings if one not in used]
    failing = [one for one in used if not one.service.serves]
    said = f"{len(failing)} of {len(used)} see it fail"
    if failing:
        said += ": " + ", ".join(f"{one.vantage} ({one.reason})" if one.reason else one.vantage for one in failing)
    if left_out:
        said += f"; left out: {', '.join(left_out)}"
    status = _status(len(failing), len(used), len(sightings))
    if status is Status.UNKNOWN:
        said = f"no majority: {said}; {len(sightings)} are asked"
    return [Finding(status, said, "failing", len(failing), f"of {len(used)}")]


def _status(failing: int, used: int, asked: int) -> Status:
    if 2 * used <= asked or 2 * failing == used:
        return Status.UNKNOWN
    if 2 * failing > used:
        return Status.FAIL
    return Status.WARN if failing else Status.PASS

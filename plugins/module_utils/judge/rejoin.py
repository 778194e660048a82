# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a member comes back to a cluster that went on without it. Pure.

no data                                              build    roles install it and restore a standby
streams on the primary's timeline                    none
runs in recovery, and the primary has all it holds   wait     it follows by itself
a primary that was shut down, or a standby, and
the primary has all it holds                         start    as a standby
anything else of the same cluster                    rewind
a rewind or a restore was cut off, no control file   restore
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import TimelineSwitch, lsn_to_int


class Method(str, enum.Enum):
    """Stable words: playbooks depend on them."""

    NONE = "none"
    WAIT = "wait"
    BUILD = "build"
    START = "start"
    REWIND = "rewind"
    RESTORE = "restore"


class Remains(t.NamedTuple):
    """What a member has. ``None`` is what it does not have, or what could not be read while it is down."""

    name: str
    has_data: bool
    #: None: no server runs. Else whether it is in recovery.
    in_recovery: bool | None = None
    streams: bool = False
    #: What an earlier run began and did not end: rewind or restore.
    unfinished: str | None = None
    system_id: str | None = None
    shut_down: bool = False
    timeline: int | None = None
    #: All that it wrote, or received and replayed, lies before this or at it. For a primary that was shut down this is
    #: where its last record, the shutdown checkpoint, begins.
    end_lsn: str | None = None
    ended_as_primary: bool = False
    history: t.Sequence[TimelineSwitch] = ()


class Source(t.NamedTuple):
    """The primary to follow."""

    name: str
    system_id: str
    timeline: int
    history: t.Sequence[TimelineSwitch] = ()


class Ancestor(t.NamedTuple):
    """The last point that both histories have. ``lsn`` of None: neither has left that timeline."""

    timeline: int
    lsn: str | None


@dataclass(frozen=True)
class Decision:
    """What is done, why, and where the member's own history leaves the cluster's (None where it does not)."""

    method: Method
    reason: str
    fork_lsn: str | None = None

    def as_dict(self) -> dict[str, t.Any]:
        return {"method": self.method.value, "reason": self.reason, "fork_lsn": self.fork_lsn}


#: Nothing of the primary has to be known for this.
NO_DATA = Decision(Method.BUILD, "it has no data")


def decide(remains: Remains, source: Source) -> Decision:
    """The gentlest way that leads to the primary's history.

    :raises RefusedError: the member is a primary itself, or of another cluster.
    """
    if not remains.has_data:
        return Decision(Method.RESTORE, _cut_off(remains)) if remains.unfinished else NO_DATA
    _demand_follower(remains, source)
    if remains.unfinished:
        return Decision(Method.RESTORE, _cut_off(remains))
    if remains.streams and remains.timeline == source.timeline:
        return Decision(Method.NONE, f"it streams on timeline {source.timeline}")
    if remains.timeline is None or remains.end_lsn is None:
        return Decision(Method.RESTORE, "its own data do not say how far they reach")
    ancestor = common_ancestor(remains.timeline, remains.history, source.timeline, source.history)
    if ancestor is None:
        return Decision(Method.RESTORE, f"its history and that of {source.name} have nothing in common")
    if remains.ended_as_primary and remains.timeline == source.timeline:
        # Nothing tells the two writers' WAL apart then, not even pg_rewind.
        return Decision(Method.RESTORE, f"it was a primary on timeline {source.timeline}, as {source.name} is")
    if diverged(remains, ancestor):
        return Decision(Method.REWIND, _apart(remains, source, ancestor), ancestor.lsn)
    if remains.in_recovery:
        return Decision(Method.WAIT, f"it holds nothing that {source.name} does not, and follows by itself")
    if remains.ended_as_primary and not remains.shut_down:
        # What was written and never reached disk in order is known only after crash recovery, which pg_rewind does.
        return Decision(Method.REWIND, "it was not shut down, so it may hold what nobody else has", ancestor.lsn)
    return Decision(Method.START, f"{source.name} has all that it holds")


def common_ancestor(
    timeline: int, history: t.Sequence[TimelineSwitch], other_timeline: int, other_history: t.Sequence[TimelineSwitch]
) -> Ancestor | None:
    """The last timeline that both were on, and where the first of them left it; None if there is none.

    Source: ``findCommonAncestorTimeline`` in PostgreSQL's pg_rewind.
    """
    mine, theirs = _stays(timeline, history), _stays(other_timeline, other_history)
    shared = None
    for (one, begin, end), (other, other_begin, other_end) in zip(mine, theirs, strict=False):
        if one != other or begin != other_begin:
            break
        shared = (one, end, other_end)
    if shared is None:
        return None
    ends = [end for end in shared[1:] if end is not None]
    return Ancestor(shared[0], min(ends, key=lsn_to_int, default=None))


def diverged(remains: Remains, ancestor: Ancestor) -> bool:
    """Does the member hold anything that lies beyond the point where the histories part?"""
    if remains.timeline != ancestor.timeline:
        return True
    if ancestor.lsn is None or remains.end_lsn is None:
        return False
    end, fork = lsn_to_int(remains.end_lsn), lsn_to_int(ancestor.lsn)
    # A record that begins where the timelines part is no longer shared; a standby's end is where its last record ends.
    return end >= fork if remains.ended_as_primary else end > fork


def _stays(timeline: int, history: t.Sequence[TimelineSwitch]) -> list[tuple[int, str, str | None]]:
    """Each timeline in turn, with where it was entered and left; the last one was not left."""
    stays: list[tuple[int, str, str | None]] = []
    begin = "0/0"
    for switch in history:
        stays.append((switch.parent, begin, switch.lsn))
        begin = switch.lsn
    return [*stays, (timeline, begin, None)]


def _demand_follower(remains: Remains, source: Source) -> None:
    if remains.in_recovery is False:
        raise RefusedError(
            f"{remains.name} runs as a primary, beside {source.name}",
            possible="a standby, or a member that is stopped",
            next_step=f"find out whom clients wrote to, fence {remains.name} with module fencing, and run this again",
        )
    if remains.system_id is not None and remains.system_id != source.system_id:
        raise RefusedError(
            f"the data of {remains.name} are of another cluster",
            given=f"system identifier {remains.system_id}, that of {source.name} is {source.system_id}",
            next_step="move that data directory away yourself, if nobody needs it, and run this again",
        )


def _cut_off(remains: Remains) -> str:
    return f"an earlier {remains.unfinished} was cut off and left the data unusable"


def _apart(remains: Remains, source: Source, ancestor: Ancestor) -> str:
    where = ancestor.lsn or "its begin"
    return (
        f"on timeline {remains.timeline} it went on to {remains.end_lsn}, while {source.name} left timeline "
        f"{ancestor.timeline} at {where}"
    )

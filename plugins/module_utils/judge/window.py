# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery window: the points that can really be restored, per repository and timeline; and a target judged by it.

    backup's stop                             last record of continuous WAL
         |------------------ window ------------------|   first missing segment
                  target inside                        target past it: recovery would end in FATAL, or lose in silence

PostgreSQL stops at a target only if it reads something that lies beyond it: a commit after the time, a record at or
after the LSN. So a target past the last archived commit is outside, although all data are there.
"""

from __future__ import annotations

import math
import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Backup, lsn_number, lsn_text
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import Chain, Reach

TYPES = ("default", "immediate", "time", "lsn", "name", "xid")
#: Types whose target cannot be found in names and times: only the WAL itself says where it is.
INSIDE_WAL = ("name", "xid")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d(?::?\d\d)?)\Z")


@dataclass(frozen=True)
class Target:
    """Where recovery is to end. ``time`` is in seconds since 1970."""

    type: str
    value: str = ""
    exclusive: bool = False
    timeline: int | None = None

    @property
    def time(self) -> float:
        return parse_time(self.value)

    @property
    def lsn(self) -> int:
        return lsn_number(self.value)

    def __str__(self) -> str:
        return f"{self.type} {self.value}".rstrip()


@dataclass(frozen=True)
class End:
    """What the WAL itself says of the end of an archive: read from its last segments.

    ``commit_time`` is the last commit's, in seconds since 1970; None if the segments that were read hold none.
    """

    last_record: int | None = None
    commit_time: float | None = None


@dataclass(frozen=True)
class Window:
    """One unbroken stretch of points that can be restored. ``to_time`` is when its last segment arrived, or exact."""

    repo: int
    timeline: int
    backups: tuple[Backup, ...]
    reach: Reach
    to_time: float | None
    exact: End | None = None

    @property
    def from_lsn(self) -> int:
        return self.backups[0].stop_lsn

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "repo": self.repo,
            "timeline": self.timeline,
            "from_lsn": lsn_text(self.from_lsn),
            "from_time": utc(self.backups[0].stopped),
            "to_lsn": lsn_text(self.reach.lsn),
            "to_time": None if self.to_time is None else utc(self.to_time),
            "exact": self.exact is not None,
            "first_missing": self.reach.missing,
            "ends_in_gap": bool(self.reach.reason),
            "backups": [backup.label for backup in self.backups],
        }

    def __str__(self) -> str:
        to = "?" if self.to_time is None else utc(self.to_time)
        end = f", then {self.reach.missing} is missing" if self.reach.reason else ""
        begin = utc(self.backups[0].stopped)
        return (
            f"repository {self.repo}, timeline {self.timeline}: {lsn_text(self.from_lsn)} ({begin})"
            f" to {lsn_text(self.reach.lsn)} ({to}){end}"
        )


@dataclass(frozen=True)
class Holdings:
    """One repository's WAL and backups. ``labels`` are the backups whose folder is really there."""

    chain: Chain
    backups: tuple[Backup, ...]
    labels: frozenset[str]
    #: What was read from the WAL at the end of a timeline.
    ends: t.Mapping[int, End] = field(default_factory=dict)

    def usable(self) -> list[Backup]:
        """Backups without errors that are there with all that they refer to, oldest first."""
        return sorted(
            (b for b in self.backups if not b.error and {b.label, *b.references} <= self.labels),
            key=lambda backup: backup.stop_lsn,
        )


@dataclass(frozen=True)
class Answer:
    """A target judged. ``inside`` is None where only the WAL itself could tell."""

    inside: bool | None
    reason: str
    repo: int | None = None
    set: str | None = None
    timeline: int | None = None

    @property
    def verdict(self) -> Verdict:
        return {True: Verdict.PASSED, False: Verdict.FAILED, None: Verdict.UNKNOWN}[self.inside]

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "inside": self.inside,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "repo": self.repo,
            "set": self.set,
            "timeline": self.timeline,
        }


def demand_sound(target: Target) -> None:
    """The target can be understood.

    :raises InputError: an unknown type, a time without UTC offset, no LSN, a missing or a superfluous value.
    """
    if target.type not in TYPES:
        raise InputError("there is no such type of target", given=target.type, possible=list(TYPES))
    if (target.type in ("default", "immediate")) == bool(target.value):
        raise InputError(
            f"a target of type {target.type} {'takes no' if target.value else 'needs a'} value", given=target.value
        )
    if target.type == "time":
        parse_time(target.value)
    if target.type == "lsn":
        lsn_number(target.value)


def parse_time(text: str) -> float:
    """A time with its UTC offset as seconds since 1970.

    :raises InputError: also for a time without an offset, which is another moment on another host.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise InputError(
            "the target time must have a date, a time and its offset from UTC",
            given=text,
            possible="2026-11-23 09:41:00+00",
            next_step="add the offset of the clock that you read the time from",
        )
    date, clock, offset = match.groups()
    if offset == "Z":
        offset = "+00"
    offset = offset if len(offset) > 3 else offset + ":00"
    try:
        return datetime.fromisoformat(f"{date}T{_microseconds(clock)}{offset}").timestamp()
    except ValueError as error:
        raise InputError(f"this is no time: {error}", given=text) from error


def _microseconds(clock: str) -> str:
    whole, dot, part = clock.partition(".")
    return f"{whole}.{(part + '000000')[:6]}" if dot else whole


def utc(seconds: float) -> str:
    """Seconds since 1970 for people, with the offset that a target needs."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{moment.microsecond:06d}" if moment.microsecond else "") + "+00"


def windows(holdings: Holdings) -> list[Window]:
    """All windows of a repository: one for each timeline and each unbroken stretch."""
    chain = holdings.chain
    usable = holdings.usable()
    found = []
    for number, timeline in chain.timelines.items():
        by_reach: dict[Reach, list[Backup]] = {}
        for backup in usable:
            reach = reach_of(chain, number, backup)
            if reach is not None:
                by_reach.setdefault(reach, []).append(backup)
        for reach, backups in by_reach.items():
            exact = None if reach.reason else holdings.ends.get(number)
            arrived = timeline.arrived.get(chain.segment_of(reach.lsn) - 1)
            to_time = exact.commit_time if exact is not None and exact.commit_time is not None else arrived
            found.append(Window(chain.repo, number, tuple(backups), reach, to_time, exact))
    return found


def reach_of(chain: Chain, timeline: int, backup: Backup) -> Reach | None:
    """How far a backup comes along a timeline; None if it is no base for it, or its own WAL is not whole."""
    path = dict(chain.lineage(timeline))
    if backup.timeline not in path:
        return None
    left = path[backup.timeline]
    if left is not None and backup.stop_lsn > left:
        return None
    reach = chain.reach(timeline, backup.timeline, backup.start_lsn)
    return reach if reach.lsn >= backup.stop_lsn else None


def judge_repository(holdings: Holdings, own: t.Sequence[Window]) -> list[Check]:
    """What keeps a repository from being whole."""
    chain = holdings.chain
    name = f"repository {chain.repo}"
    checks = [_check(f"{name}: a backup can be restored", bool(own), "no usable backup with all of its own WAL")]
    broken = [b.label for b in holdings.backups if b.error]
    checks.append(_check(f"{name}: page checksums hold", not broken, f"broken pages in {', '.join(broken)}"))
    gone = sorted({label for b in holdings.backups for label in (b.label, *b.references)} - holdings.labels)
    checks.append(_check(f"{name}: backups are there", not gone, f"pgBackRest lists {', '.join(gone)}, not there"))
    holes = [window.reach.missing or "" for window in own if window.reach.reason and window.timeline == chain.newest()]
    holes += without_wal(holdings)
    checks.append(_check(f"{name}: WAL has no gap", not holes, f"missing: {', '.join(sorted(set(holes)))}"))
    lost = ", ".join(f"{number:08X}.history" for number in chain.lost_histories)
    checks.append(_check(f"{name}: each timeline has its history", not lost, f"missing: {lost}"))
    twice = [chain.name(line.number, n) for line in chain.timelines.values() for n in line.contradictions]
    checks.append(
        _check(f"{name}: no segment is there twice", not twice, f"two servers wrote {', '.join(twice)}: a split brain")
    )
    return [*checks, _foreign(chain)]


def _foreign(chain: Chain) -> Check:
    """A history without WAL, while WAL of another timeline came after it, is of a server that nobody follows."""
    name, unborn = f"repository {chain.repo}: no timeline is foreign", chain.unborn()
    newest = chain.timelines[chain.newest() or 0].last_time if unborn and chain.newest() else 0
    foreign = [line for line in unborn if line.history_time < newest]
    listed = ", ".join(f"{line.number:08X}.history" for line in foreign or unborn)
    if foreign:
        reason = f"{listed} arrived before WAL of timeline {chain.newest()}, and nothing was ever written on it"
        return Check(name, Verdict.FAILED, reason)
    if unborn:
        return Check(name, Verdict.UNKNOWN, f"{listed} is there without WAL; right after a promotion it comes soon")
    return Check(name, Verdict.PASSED, "")


def without_wal(holdings: Holdings) -> list[str]:
    """The first missing segment of each backup whose own WAL is not whole, so that it can't become consistent."""
    chain = holdings.chain
    missing = []
    for backup in holdings.usable():
        reach = chain.reach(backup.timeline, backup.timeline, backup.start_lsn)
        if reach.lsn < backup.stop_lsn and reach.missing is not None:
            missing.append(reach.missing)
    return missing


def _check(name: str, well: bool, otherwise: str) -> Check:
    return Check(name, Verdict.PASSED if well else Verdict.FAILED, "" if well else otherwise)


def strays(chain: Chain, timeline: int) -> list[int]:
    """Timelines with WAL that recovery along ``timeline`` never reads: abandoned by a restore, or made by a drill."""
    path = {number for number, _left in chain.lineage(timeline)}
    return [number for number, other in chain.timelines.items() if other.spans and number not in path]


def gaps(chain: Chain) -> list[dict[str, t.Any]]:
    """Every hole in every timeline, for the report."""
    return [
        {
            "repo": chain.repo,
            "timeline": timeline.number,
            "first": chain.name(timeline.number, gap.first),
            "last": chain.name(timeline.number, gap.last),
            "segments": len(gap),
        }
        for timeline in chain.timelines.values()
        for gap in timeline.gaps
    ]


def judge_target(target: Target, repositories: t.Sequence[tuple[Holdings, t.Sequence[Window]]]) -> Answer:
    """Whether the target can be restored, and from which repository, backup set and timeline.

    The first repository that surely can is taken, else the first where only the WAL could tell.
    """
    demand_sound(target)
    answers = []
    for holdings, own in repositories:
        timeline = target.timeline or holdings.chain.newest()
        fitting = [window for window in own if window.timeline == timeline]
        if timeline is None or not fitting:
            known = ", ".join(map(str, sorted({window.timeline for window in own}))) or "none"
            repo = holdings.chain.repo
            answers.append(Answer(False, f"repository {repo} can't restore timeline {timeline}; possible: {known}"))
            continue
        answers.append(_JUDGES[target.type](target, fitting))
    for wanted in (True, None):
        for answer in answers:
            if answer.inside is wanted:
                return answer
    return Answer(False, "; ".join(answer.reason for answer in answers) or "no repository could be read")


def _newest_window(fitting: t.Sequence[Window]) -> Window:
    return max(fitting, key=lambda window: window.reach.lsn)


def _outside(target: Target, fitting: t.Sequence[Window], why: str) -> Answer:
    return Answer(False, f"{target} is outside the recovery window ({'; '.join(map(str, fitting))}): {why}")


def _inside(window: Window, backup: Backup, reason: str, inside: bool | None = True) -> Answer:
    return Answer(inside, reason, window.repo, backup.label, window.timeline)


def _judge_immediate(target: Target, fitting: t.Sequence[Window]) -> Answer:
    window = _newest_window(fitting)
    return _inside(window, window.backups[-1], f"{target}: the end of backup {window.backups[-1].label}")


def _judge_latest(target: Target, fitting: t.Sequence[Window]) -> Answer:
    window = _newest_window(fitting)
    if window.reach.reason:
        why = f"{window.reach.missing} is missing and later WAL is there, which recovery would lose without a word"
        return _outside(target, fitting, why)
    return _inside(window, window.backups[-1], f"to the end of the archive, {lsn_text(window.reach.lsn)}")


def _judge_lsn(target: Target, fitting: t.Sequence[Window]) -> Answer:
    lsn = target.lsn
    for window in sorted(fitting, key=lambda window: window.reach.lsn):
        base = [backup for backup in window.backups if backup.stop_lsn <= lsn]
        end = window.reach.lsn - 1
        if window.exact is not None and window.exact.last_record is not None:
            end = window.exact.last_record
        if base and lsn <= end:
            return _inside(window, base[-1], f"{target} lies in the window")
    if lsn < min(window.from_lsn for window in fitting):
        return _outside(target, fitting, "it is before the end of the oldest backup")
    return _outside(target, fitting, _past(fitting, "nothing archived lies at or after it"))


def _judge_time(target: Target, fitting: t.Sequence[Window]) -> Answer:
    moment = target.time
    doubt: Answer | None = None
    for window in sorted(fitting, key=lambda window: window.reach.lsn):
        # pgBackRest and its backups know whole seconds: the backup's own second is not after it yet.
        base = [backup for backup in window.backups if backup.stopped < math.floor(moment)]
        if not base or window.to_time is None or moment > window.to_time:
            continue
        if window.exact is not None and window.exact.commit_time is not None:
            if moment < window.to_time or target.exclusive:
                return _inside(window, base[-1], f"{target} lies in the window")
        elif doubt is None:
            why = f"{target} lies before the last segment's arrival, but whether a commit follows it was not read"
            doubt = _inside(window, base[-1], why, inside=None)
    if doubt is not None:
        return doubt
    if math.floor(moment) <= min(window.backups[0].stopped for window in fitting):
        return _outside(target, fitting, "it is not after the second in which the oldest backup ended")
    return _outside(target, fitting, _past(fitting, "it is not before the last archived commit"))


def _judge_inside_wal(target: Target, fitting: t.Sequence[Window]) -> Answer:
    window = _newest_window(fitting)
    why = f"only the WAL tells where {target} is; recovery ends in an error if it is not there"
    return Answer(None, why, window.repo, None, window.timeline)


def _past(fitting: t.Sequence[Window], otherwise: str) -> str:
    window = _newest_window(fitting)
    return f"{window.reach.missing} is missing" if window.reach.reason else otherwise


_JUDGES: dict[str, t.Callable[[Target, t.Sequence[Window]], Answer]] = {
    "default": _judge_latest,
    "immediate": _judge_immediate,
    "lsn": _judge_lsn,
    "time": _judge_time,
    "name": _judge_inside_wal,
    "xid": _judge_inside_wal,
}

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL of a repository, every segment walked by name: gaps, timelines, and how they descend from each other.

pgBackRest tells only the first and the last segment of an archive; recovery ends at the first one that is missing, and
reports success. What is missing can only be found by looking at every name.
"""

from __future__ import annotations

import bisect
import re
import typing as t
from dataclasses import dataclass, field

#: Bytes of a segment unless a cluster was made with another size.
SEGMENT_SIZE = 16 * 1024 * 1024

#: A whole segment, as pgBackRest names it. While it still writes one, or was killed over it, the name is longer.
ARCHIVED = re.compile(r"[0-9A-F]{24}-[0-9a-f]{40}(\.[a-z0-9]+)?\Z")
_FILE = re.compile(r"([0-9A-F]{24})(\.partial)?(?:-([0-9a-f]{40}))?(?:\.(?:gz|lz4|zst|bz2))?\Z")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history\Z")
_HISTORY_LINE = re.compile(r"\s*(\d+)\s+([0-9A-Fa-f]+)/([0-9A-Fa-f]+)")


@dataclass(frozen=True)
class Span:
    """Segments without a hole: numbers of the first and of the last one, both included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Fork:
    """Where a timeline left another one: at ``lsn``, so the parent's WAL counts up to there and not beyond."""

    parent: int
    lsn: int


@dataclass(frozen=True)
class Timeline:
    """One timeline's WAL in one repository. ``forks`` are its ancestors, oldest first, empty for a first timeline."""

    number: int
    spans: tuple[Span, ...]
    forks: tuple[Fork, ...]
    history: bool
    partials: tuple[int, ...] = ()
    #: Segments that are there twice with different content: two servers wrote the same timeline.
    contradictions: tuple[int, ...] = ()
    #: When each segment arrived, seconds since 1970; and when the history did, 0 without one.
    arrived: t.Mapping[int, int] = field(default_factory=dict)
    history_time: int = 0

    @property
    def last_time(self) -> int:
        """When the last segment arrived, seconds since 1970; 0 without segments."""
        return self.arrived[self.spans[-1].last] if self.spans else 0

    @property
    def gaps(self) -> tuple[Span, ...]:
        """The segments that are missing between those that are there."""
        return tuple(
            Span(before.last + 1, after.first - 1) for before, after in zip(self.spans, self.spans[1:], strict=False)
        )

    @property
    def parents(self) -> tuple[int, ...]:
        return tuple(fork.parent for fork in self.forks)

    def span_of(self, segment: int) -> Span | None:
        # An archive with many holes has many spans, and each backup asks.
        place = bisect.bisect_right(self.spans, segment, key=lambda span: span.first) - 1
        return self.spans[place] if place >= 0 and segment <= self.spans[place].last else None


@dataclass(frozen=True)
class Chain:
    """All WAL of one cluster in one repository."""

    repo: int
    segment_size: int
    timelines: t.Mapping[int, Timeline]
    #: Timelines that hold WAL although their history is missing: PostgreSQL would never follow them.
    lost_histories: tuple[int, ...] = ()
    unknown_files: tuple[str, ...] = ()

    def segment_of(self, lsn: int) -> int:
        return lsn // self.segment_size

    def name(self, timeline: int, segment: int) -> str:
        return segment_name(timeline, segment, self.segment_size)

    def newest(self) -> int | None:
        """The timeline whose last segment arrived last."""
        known = [timeline for timeline in self.timelines.values() if timeline.spans]
        return max(known, key=lambda timeline: (timeline.last_time, timeline.number)).number if known else None

    def unborn(self) -> list[Timeline]:
        """Timelines beyond the newest that have a history and no WAL. A promotion archives its history first."""
        newest = self.newest() or 0
        return [
            line
            for line in self.timelines.values()
            if line.history and not line.spans and not line.partials and line.number > newest
        ]

    def lineage(self, number: int) -> list[tuple[int, int | None]]:
        """The path that recovery to the end of a timeline takes: ``(timeline, leaves it at LSN)``, oldest first.

        The last one is the timeline itself, which is left nowhere (``None``).
        """
        timeline = self.timelines.get(number)
        forks = timeline.forks if timeline is not None else ()
        return [*((fork.parent, fork.lsn) for fork in forks), (number, None)]

    def reach(self, number: int, timeline: int, lsn: int) -> Reach:
        """How far recovery along timeline ``number`` comes without a hole, beginning at ``lsn`` on ``timeline``.

        PostgreSQL reads a segment from the newest timeline of the lineage that has begun by then, so a fork's segment
        comes from the child.
        """
        path = self.lineage(number)
        begins = [0, *(end for _step, end in path[:-1] if end is not None)]
        on_path = {step: (begins[i], end) for i, (step, end) in enumerate(path)}
        if timeline not in on_path:
            return Reach(lsn, None, f"timeline {timeline} is no ancestor of timeline {number}")
        end_of_start = on_path[timeline][1]
        if end_of_start is not None and lsn > end_of_start:
            return Reach(lsn, None, f"timeline {number} left timeline {timeline} before, at {lsn_text(end_of_start)}")
        segment = self.segment_of(lsn)
        position = next(i for i, (step, _end) in enumerate(path) if step == timeline)
        for step, end in path[position:]:
            # The fork's own segment is read from the child, which holds a copy of what came before.
            last = None if end is None else self.segment_of(end) - 1
            if last is not None and segment > last:
                continue
            span = self.timelines[step].span_of(segment) if step in self.timelines else None
            held = segment - 1 if span is None else span.last
            if last is None or held < last:
                is_hole = last is not None or self._later(step, held + 1)
                missing = self.name(step, held + 1)
                return Reach((held + 1) * self.segment_size, missing, "missing" if is_hole else "")
            segment = last + 1
        return Reach(segment * self.segment_size, None)

    def _later(self, timeline: int, segment: int) -> bool:
        """Whether a timeline holds anything after a segment."""
        held = self.timelines.get(timeline)
        return held is not None and bool(held.spans) and held.spans[-1].first > segment


@dataclass(frozen=True)
class Reach:
    """Where continuous WAL ends: the LSN after its last byte, the first segment that is not there, and why it matters.

    An empty ``reason`` is the true end of the archive.
    """

    lsn: int
    missing: str | None
    reason: str = ""


@dataclass
class _Found:
    """What was seen of one timeline while walking the names."""

    arrived: dict[int, int] = field(default_factory=dict)
    sums: dict[int, set[str]] = field(default_factory=dict)
    partials: set[int] = field(default_factory=set)


def walk(
    repo: int,
    files: t.Mapping[str, int],
    histories: t.Mapping[int, str],
    *,
    segment_size: int = SEGMENT_SIZE,
) -> Chain:
    """Walk every name of an archive's directory.

    :param files: path below the archive's directory to its time (seconds since 1970); directories are left out.
    :param histories: the text of each timeline's history file, by timeline.
    """
    found: dict[int, _Found] = {}
    listed: dict[int, int] = {}
    strange: list[str] = []
    for path, time in files.items():
        name = path.rpartition("/")[2]
        segment = _FILE.match(name)
        if segment is not None:
            _note(found, segment, time, segment_size)
        elif (history := _HISTORY.match(name)) is not None:
            listed[int(history.group(1), 16)] = time
        elif not name.endswith(".backup") and not name.startswith("archive.info"):
            strange.append(path)
    timelines = {}
    for number in sorted(found.keys() | listed.keys()):
        seen = found.get(number, _Found())
        timelines[number] = Timeline(
            number=number,
            spans=tuple(spans(seen.arrived)),
            forks=tuple(parse_history(histories.get(number, ""))),
            history=number in listed,
            partials=tuple(sorted(seen.partials)),
            contradictions=tuple(sorted(n for n, sums in seen.sums.items() if len(sums) > 1)),
            arrived=seen.arrived,
            history_time=listed.get(number, 0),
        )
    lost = tuple(n for n in sorted(found) if n > 1 and n not in listed)
    return Chain(repo, segment_size, timelines, lost, tuple(strange))


def _note(found: dict[int, _Found], match: re.Match[str], time: int, segment_size: int) -> None:
    name, partial, checksum = match.groups()
    timeline, number = parse_segment(name, segment_size)
    seen = found.setdefault(timeline, _Found())
    if partial:
        seen.partials.add(number)
        return
    seen.arrived[number] = time
    if checksum:
        seen.sums.setdefault(number, set()).add(checksum)


def spans(numbers: t.Iterable[int]) -> t.Iterator[Span]:
    """Numbers gathered into spans without a hole, ascending."""
    first = last = -1
    for number in sorted(numbers):
        if first >= 0 and number == last + 1:
            last = number
            continue
        if first >= 0:
            yield Span(first, last)
        first = last = number
    if first >= 0:
        yield Span(first, last)


def parse_segment(name: str, segment_size: int = SEGMENT_SIZE) -> tuple[int, int]:
    """``00000001000000020000000A`` to timeline and number of the segment, counted from the beginning of all WAL."""
    per_log = 0x100000000 // segment_size
    return int(name[:8], 16), int(name[8:16], 16) * per_log + int(name[16:24], 16)


def segment_name(timeline: int, segment: int, segment_size: int = SEGMENT_SIZE) -> str:
    per_log = 0x100000000 // segment_size
    return f"{timeline:08X}{segment // per_log:08X}{segment % per_log:08X}"


def parse_history(text: str) -> list[Fork]:
    """A timeline's history file: its ancestors, oldest first, and where each was left."""
    forks = []
    for line in text.splitlines():
        match = _HISTORY_LINE.match(line)
        if match is not None:
            parent, high, low = match.groups()
            forks.append(Fork(int(parent), (int(high, 16) << 32) + int(low, 16)))
    return forks


def lsn_text(number: int) -> str:
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline and the outage as a picture: inline SVG, coloured by the page's style sheet. Pure.

┌ RTO ─────────┐                the outage, shaded, with its length
▮▮▮▮            ▮▮▮▮▮▮▮▮        acknowledged commits in each interval
     ▾▾▾▾▾▾▾▾▾                  attempts that failed, below the axis
────┬──────┬────────┬───        seconds since the chain's zero
    │      └ T4 fenced          each phase on the first lane where its label meets nothing
    └ T1 last ack
"""

from __future__ import annotations

import html
import itertools
import math
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.ledger import Attempt

#: Pixels. A letter of the labels is at most this wide.
LETTER = 6.5
LANE = 19
BARS = 92
FAILURES = 26
ROW = 7
TOP = 34
LEFT = 46
RIGHT = 14
#: An acknowledgement that took at least this many seconds is shown as a wait.
WAITED = 0.1
#: What a client's line can be made of; each is a class of the style sheet.
SHADES = ("acked", "waited", "unsafe", "failed", "open")


@dataclass(frozen=True)
class Mark:
    """A phase at a moment, in seconds on the chain's scale. ``short`` stands where there is no room for ``label``."""

    short: str
    label: str
    at: float
    error: float = 0.0


@dataclass(frozen=True)
class Scene:
    """What there is to show. ``outage``: from the last acknowledgement to the first one after it; ``interval``: of the
    probe, in seconds.
    """

    attempts: t.Sequence[Attempt]
    marks: t.Sequence[Mark]
    outage: tuple[float, float] | None = None
    outage_name: str = "RTO"
    interval: float = 0.1


@dataclass(frozen=True)
class Window:
    begin: float
    end: float

    @property
    def span(self) -> float:
        return self.end - self.begin

    def holds(self, at: float) -> bool:
        return self.begin <= at <= self.end


def close_up(scene: Scene) -> Window | None:
    """The outage with a margin on both sides; ``None`` when there is none to look at."""
    if scene.outage is None:
        return None
    begin, end = scene.outage
    margin = min(max(0.35 * (end - begin), 0.6), 8.0)
    return Window(begin - margin, end + margin)


def whole(scene: Scene) -> Window | None:
    """From shortly before the first phase to the last one; ``None`` when there is nothing to show."""
    moments = [mark.at for mark in scene.marks] + list(scene.outage or ())
    if not moments:
        moments = [scene.attempts[0].begin, scene.attempts[-1].end] if scene.attempts else []
    if not moments:
        return None
    begin, end = min(moments), max(moments)
    margin = max(0.06 * (end - begin), 0.5)
    return Window(begin - margin, end + margin)


def step(span: float, at_most: int) -> float:
    """The smallest 1, 2 or 5 times a power of ten that divides ``span`` into at most ``at_most`` parts."""
    power = 10.0 ** math.floor(math.log10(span / at_most))
    return next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= at_most)


def seconds(value: float) -> str:
    """A duration as people read it: 0 s, 0.312 s, 4.31 s, 48.2 s, 312 s."""
    digits = 0 if value == 0 else 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f} s"


@dataclass(frozen=True)
class Placed:
    """A label's place: its stem at ``x``, its lane (0 is the uppermost), its width."""

    mark: Mark
    text: str
    x: float
    width: float
    lane: int


def lanes(marks: t.Sequence[tuple[Mark, str, float]]) -> list[Placed]:
    """Give each label the uppermost lane where it overlaps no label and no stem crosses it.

    From right to left: a label stands right of its own stem, so that the stems of those still to come pass left of it.

    :param marks: (mark, text, x of its stem).
    """
    placed: list[Placed] = []
    for mark, text, x in sorted(marks, key=lambda item: (item[2], item[0].at), reverse=True):
        width = len(text) * LETTER + 10
        lane = 0
        while any(_meets(other, x, x + width, lane) for other in placed):
            lane += 1
        placed.append(Placed(mark, text, x, width, lane))
    return placed[::-1]


def _meets(other: Placed, begin: float, end: float, lane: int) -> bool:
    if other.lane == lane:
        return begin < other.x + other.width and other.x < end
    return other.lane > lane and begin <= other.x <= end


class Picture:
    """One drawing of a scene through a window, ``width`` pixels wide at most; it scales with the page."""

    def __init__(self, scene: Scene, window: Window, width: int, *, title: str, near: Window | None = None) -> None:
        """:param near: a part that another picture shows from close up; here it is framed, and its phases left out.
        Without it the clients are shown one by one.
        """
        self.scene = scene
        self.width = width
        self.title = title
        self.near = near
        self.narrow = width < 600
        self.right = width - RIGHT
        marks = [mark for mark in scene.marks if window.holds(mark.at) and not (near and near.holds(mark.at))]
        self.window = self._with_room(window, marks)
        self.attempts = [a for a in scene.attempts if a.end >= self.window.begin and a.begin <= self.window.end]
        self.rows = sorted({a.client for a in self.attempts}) if near is None else []
        self.placed = lanes([(mark, self._text(mark), self.x(mark.at)) for mark in marks])
        self.bars_bottom = TOP + BARS
        failed = any(not a.acked for a in self.attempts)
        self.rows_top = self.bars_bottom + (FAILURES if failed else 4)
        self.axis = (self.rows_top + ROW * len(self.rows) + 4) if self.attempts else TOP + 6
        self.lanes_top = self.axis + 26
        self.height = self.lanes_top + LANE * (max((p.lane for p in self.placed), default=-1) + 1) + 6

    def _with_room(self, window: Window, marks: t.Sequence[Mark]) -> Window:
        """The window, made longer until every label fits left of the edge."""
        room = self.right - LEFT
        end = window.end
        for mark in marks:
            need = len(self._text(mark)) * LETTER + 14
            if need < room * 0.8:
                end = max(end, window.begin + (mark.at - window.begin) * room / (room - need))
        return Window(window.begin, end)

    def _text(self, mark: Mark) -> str:
        return mark.short if self.narrow else f"{mark.short} {mark.label} {seconds(mark.at)}".strip()

    def x(self, at: float) -> float:
        return LEFT + (at - self.window.begin) / self.window.span * (self.right - LEFT)

    def draw(self) -> str:
        name = "narrow" if self.narrow else "wide"
        parts = [
            f'<svg class="{name}" viewBox="0 0 {self.width} {self.height:.0f}" role="img">',
            f"<title>{html.escape(self.title)}</title>",
            *self._outage(),
            *(self._bars() if self.attempts else ()),
            *self._clients(),
            *self._frame(),
            *self._stems(),
            *self._axis(),
            *self._labels(),
            "</svg>",
        ]
        return "\n".join(parts)

    def _outage(self) -> t.Iterator[str]:
        if self.scene.outage is None:
            return
        begin, end = (max(self.x(at), LEFT) for at in self.scene.outage)
        y, wide = 22, max(end - begin, 1)
        yield f'<rect class="outage" x="{begin:.1f}" y="{y}" width="{wide:.1f}" height="{self.axis - y:.1f}"/>'
        yield f'<path class="span" d="M{begin:.1f} {y - 4}v8M{end:.1f} {y - 4}v8M{begin:.1f} {y}H{end:.1f}"/>'
        text = f"{self.scene.outage_name} {seconds(self.scene.outage[1] - self.scene.outage[0])}"
        half = len(text) * LETTER * 0.65
        middle = min(max((begin + end) / 2, LEFT + half), self.right - half)
        yield f'<text class="span-text" x="{middle:.1f}" y="13" text-anchor="middle">{html.escape(text)}</text>'

    def bucket(self) -> float:
        """Seconds that one bar stands for: a round figure, not below the probe's interval."""
        bars = 75 if self.narrow else 180
        return max(step(self.window.span, bars), step(self.scene.interval, 1))

    def _counts(self, bucket: float) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        acked: dict[int, int] = {}
        unsafe: dict[int, int] = {}
        bad: dict[int, int] = {}
        for attempt in self.scene.attempts:
            slot = math.floor(attempt.end / bucket)
            if (slot + 1) * bucket > self.window.begin and slot * bucket < self.window.end:
                counts = {"acked": acked, "acked_unsafe": unsafe}.get(attempt.outcome, bad)
                counts[slot] = counts.get(slot, 0) + 1
        return acked, unsafe, bad

    def _bars(self) -> t.Iterator[str]:
        bucket = self.bucket()
        acked, unsafe, bad = self._counts(bucket)
        highest = max((acked.get(slot, 0) + unsafe.get(slot, 0) for slot in {*acked, *unsafe}), default=1)
        yield f'<text class="small" x="{LEFT - 6}" y="{TOP + 8}" text-anchor="end">{highest}</text>'
        yield f'<text class="small" x="{LEFT - 6}" y="{self.bars_bottom}" text-anchor="end">0</text>'
        unit = f"{bucket * 1000:.0f} ms" if bucket < 1 else f"{bucket:g} s"
        middle = TOP + BARS / 2
        turned = f'transform="rotate(-90 11 {middle})" text-anchor="middle"'
        yield f'<text class="small" x="11" y="{middle + 4}" {turned}>acks / {unit}</text>'
        yield f'<path class="grid" d="M{LEFT} {TOP}H{self.right}M{LEFT} {self.bars_bottom}H{self.right}"/>'
        scale = BARS / highest
        yield self._bar_path("acked", {slot: (0, count * scale) for slot, count in acked.items()}, bucket, up=True)
        stacked = {slot: (acked.get(slot, 0) * scale, count * scale) for slot, count in unsafe.items()}
        yield self._bar_path("unsafe", stacked, bucket, up=True)
        down = (FAILURES - 6) / max(bad.values(), default=1)
        yield self._bar_path(
            "failed", {slot: (2, max(count * down, 2)) for slot, count in bad.items()}, bucket, up=False
        )
        if bad:
            yield f'<text class="small" x="{LEFT - 6}" y="{self.bars_bottom + 16}" text-anchor="end">failed</text>'

    def _bar_path(self, name: str, bars: t.Mapping[int, tuple[float, float]], bucket: float, *, up: bool) -> str:
        """All bars of one kind as one path: {slot: (distance from the axis, height)}."""
        path = []
        for slot, (offset, height) in sorted(bars.items()):
            left = max(self.x(slot * bucket), LEFT)
            right = min(self.x((slot + 1) * bucket), self.right)
            gap = 1 if right - left > 3 else 0
            if right - left > gap:
                y = self.bars_bottom - offset if up else self.bars_bottom + offset
                path.append(f"M{left:.1f} {y:.1f}v{-height if up else height:.1f}H{right - gap:.1f}V{y:.1f}z")
        return f'<path class="{name}" d="{"".join(path)}"/>' if path else ""

    def _clients(self) -> t.Iterator[str]:
        """One line a client: what it waited for, and for how long."""
        for number, client in enumerate(self.rows):
            y = self.rows_top + ROW * number
            mine = [attempt for attempt in self.scene.attempts if attempt.client == client]
            joined = _joined(mine)
            for name in SHADES:
                path = "".join(self._stroke(attempt, y) for attempt in joined if _shade(attempt) == name)
                if path:
                    yield f'<path class="{name}" d="{path}"/>'
        if self.rows:
            middle = self.rows_top + ROW * len(self.rows) / 2 + 4
            yield f'<text class="small" x="{LEFT - 6}" y="{middle:.1f}" text-anchor="end">clients</text>'

    def _stroke(self, attempt: Attempt, y: float) -> str:
        begin = max(self.x(attempt.begin), LEFT)
        end = min(max(self.x(attempt.end), self.x(attempt.begin) + 1), self.right)
        return f"M{begin:.1f} {y:.1f}h{end - begin:.1f}v{ROW - 2}H{begin:.1f}z" if end > begin else ""

    def _axis(self) -> t.Iterator[str]:
        yield f'<path class="axis" d="M{LEFT} {self.axis:.1f}H{self.right}"/>'
        gap = step(self.window.span, 6 if self.narrow else 12)
        digits = max(0, -math.floor(math.log10(gap)))
        first, last = math.ceil(self.window.begin / gap), math.floor(self.window.end / gap)
        for number in range(first, last + 1):
            x = self.x(number * gap)
            yield f'<path class="axis" d="M{x:.1f} {self.axis:.1f}v4"/>'
            unit = " s" if number == last else ""
            label = f"{number * gap:.{digits}f}{unit}"
            middle = min(x, self.right - len(label) * LETTER / 2 + 6)
            yield f'<text class="small" x="{middle:.1f}" y="{self.axis + 15:.1f}" text-anchor="middle">{label}</text>'

    def _frame(self) -> t.Iterator[str]:
        if self.near is not None:
            begin, end = max(self.x(self.near.begin), LEFT), min(self.x(self.near.end), self.right)
            height = self.axis - TOP + 6
            yield f'<rect class="near" x="{begin:.1f}" y="{TOP - 6}" width="{end - begin:.1f}" height="{height:.1f}"/>'

    def _stems(self) -> t.Iterator[str]:
        for one in self.placed:
            y = self.lanes_top + LANE * one.lane
            yield f'<path class="stem" d="M{one.x:.1f} {TOP - 8}V{y + 9:.1f}h5"/>'

    def _labels(self) -> t.Iterator[str]:
        for one in self.placed:
            y = self.lanes_top + LANE * one.lane
            text = html.escape(one.text.removeprefix(one.mark.short))
            yield (
                f'<text class="mark" x="{one.x + 8:.1f}" y="{y + 13:.1f}">'
                f'<tspan class="phase">{html.escape(one.mark.short)}</tspan>{text}</text>'
            )


def _shade(attempt: Attempt) -> str:
    return {"acked": "acked", "waited": "waited", "acked_unsafe": "unsafe", "failed": "failed"}.get(
        attempt.outcome, "open"
    )


def waited(attempt: Attempt) -> Attempt:
    """The attempt, with an outcome of its own if its client had to wait for the acknowledgement."""
    if attempt.outcome == "acked" and attempt.end - attempt.begin >= WAITED:
        return Attempt(attempt.client, attempt.begin, attempt.end, "waited")
    return attempt


def _joined(attempts: t.Sequence[Attempt]) -> list[Attempt]:
    """One client's attempts, those in a row with the same outcome and no pause between them made one."""
    ordered = sorted((waited(attempt) for attempt in attempts), key=lambda attempt: attempt.begin)
    pauses = sorted(after.begin - before.end for before, after in itertools.pairwise(ordered))
    usual = max(2.5 * pauses[len(pauses) // 2], 0.02) if pauses else 0.0
    joined: list[Attempt] = []
    for attempt in ordered:
        last = joined[-1] if joined else None
        if last and last.outcome == attempt.outcome and attempt.begin - last.end <= usual:
            joined[-1] = Attempt(last.client, last.begin, attempt.end, last.outcome)
        else:
            joined.append(attempt)
    return joined

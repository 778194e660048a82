# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A value over days as a picture, and the hours of a month: inline SVG, coloured by the page's style sheet. Pure.

3600 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  the limit; where it is far above, a line of text at the top
  60 ┤   ░░░░░░░░░░░░    the band between low and high
     │ ●──●──●──●●──●    a line through points; dots for what was measured
   0 ┴──┬──┬──┬──┬──┬─   days
"""

from __future__ import annotations

import html
import math
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.distribution import nice_end
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.picture import LEFT, LETTER, RIGHT, TOP

DAY = 86400
HOURS = 24
PLOT = 150
#: A limit more than this many times above all values would press them flat.
FAR = 4
#: Height of a day's row in the calendar.
ROW = 13

#: Seconds since 1970, and a value.
Point = tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """What there is to show between two moments, seconds since 1970. Lines and dots by their class of the style sheet."""

    begin: float
    end: float
    lines: Mapping[str, Sequence[Point]]
    dots: Mapping[str, Sequence[Point]]
    #: Moment, low and high.
    band: Sequence[tuple[float, float, float]] = ()
    limit: float | None = None
    limit_name: str = "objective"
    #: What a round value is a multiple of: 2**30 for GiB.
    unit: float = 1.0

    @property
    def highest(self) -> float:
        drawn = [value for points in (*self.lines.values(), *self.dots.values()) for _at, value in points]
        return max([*drawn, *(high for _at, _low, high in self.band)], default=0.0)

    @property
    def empty(self) -> bool:
        return not any((*self.lines.values(), *self.dots.values()))


def chart(shown: Chart, width: int, title: str, said: Callable[[float], str]) -> str:
    """:param said: a value in words, as the axis shows it."""
    highest = shown.highest
    near = shown.limit is not None and shown.limit <= FAR * highest
    top = nice_end((max(highest, shown.limit or 0.0) if near else highest) / shown.unit) * shown.unit
    left, right, bottom = LEFT + 18, width - RIGHT, TOP + PLOT

    def x(at: float) -> float:
        span = max(shown.end - shown.begin, 1.0)
        return round(left + min(max((at - shown.begin) / span, 0.0), 1.0) * (right - left), 1)

    def y(value: float) -> float:
        return round(bottom - value / top * PLOT, 1)

    parts = [
        *_opened(width, bottom + 22, title),
        f'<path class="grid" d="M{left} {y(top)}H{right}M{left} {y(top / 2)}H{right}"/>',
    ]
    for tick in (0.0, top / 2, top):
        parts.append(_text(left - 6, y(tick) + 4, said(tick), "end"))
    if shown.band:
        over = "L".join(f"{x(at)} {y(high)}" for at, _low, high in shown.band)
        under = "L".join(f"{x(at)} {y(low)}" for at, low, _high in reversed(shown.band))
        parts.append(f'<path class="band" d="M{over}L{under}z"/>')
    for name, points in shown.lines.items():
        if points:
            parts.append(f'<path class="trend {name}" d="M{"L".join(f"{x(at)} {y(value)}" for at, value in points)}"/>')
            at, value = points[-1]
            parts.append(f'<circle class="{name}" cx="{x(at)}" cy="{y(value)}" r="3"/>')
    for name, points in shown.dots.items():
        parts += [f'<circle class="{name}" cx="{x(at)}" cy="{y(value)}" r="4" opacity=".8"/>' for at, value in points]
    if shown.limit is not None:
        parts += _limit(shown, near, (left, right), y(shown.limit) if near else 0.0, said)
    parts += [f'<path class="axis" d="M{left} {bottom}H{right}"/>', *_days(shown, x, bottom, right, width)]
    return "\n".join([*parts, "</svg>"])


def _limit(
    shown: Chart, near: bool, span: tuple[float, float], height: float, said: Callable[[float], str]
) -> t.Iterator[str]:
    text = f"{shown.limit_name} {said(t.cast(float, shown.limit))}"
    if near:
        yield f'<path class="limit" d="M{span[0]} {height}H{span[1]}"/>'
        yield _text(span[1], height - 5, text, "end", "limit-text")
    elif shown.highest > 0:
        times = t.cast(float, shown.limit) / shown.highest
        yield _text(span[1], 14, f"{text}: {times:.0f} times as high", "end", "limit-text")


def _days(shown: Chart, x: Callable[[float], float], bottom: float, right: float, width: int) -> t.Iterator[str]:
    days = max((shown.end - shown.begin) / DAY, 1)
    gap = math.ceil(days / (5 if width < 600 else 12))
    first = math.ceil(shown.begin / DAY)
    for day in range(first, math.floor(shown.end / DAY) + 1, gap):
        label = datetime.fromtimestamp(day * DAY, timezone.utc).strftime("%m-%d")
        yield f'<path class="axis" d="M{x(day * DAY)} {bottom}v4"/>'
        yield _text(min(x(day * DAY), right - len(label) * LETTER / 2), bottom + 16, label, "middle")


def calendar(days: Sequence[tuple[str, Sequence[str]]], width: int, title: str) -> str:
    """A row a day, a cell an hour. ``days``: the day's name and a class of the style sheet for each of its hours."""
    left, step = LEFT + 18, (width - RIGHT - LEFT - 18) / HOURS
    parts = [*_opened(width, 20 + ROW * len(days) + 4, title)]
    for hour in range(0, HOURS, 3):
        parts.append(_text(left + step * hour, 13, f"{hour:02}", "start"))
    for number, (name, hours) in enumerate(days):
        top = 20 + ROW * number
        parts.append(_text(left - 6, top + ROW - 3, name, "end"))
        for kind in sorted(set(hours)):
            cells = "".join(
                f"M{left + step * hour:.1f} {top}h{step - 1.5:.1f}v{ROW - 2}h{1.5 - step:.1f}z"
                for hour, found in enumerate(hours)
                if found == kind
            )
            parts.append(f'<path class="cell {kind}" d="{cells}"/>')
    return "\n".join([*parts, "</svg>"])


def _opened(width: int, height: float, title: str) -> list[str]:
    name = "narrow" if width < 600 else "wide"
    return [
        f'<svg class="{name}" viewBox="0 0 {width} {height:.0f}" role="img">',
        f"<title>{html.escape(title)}</title>",
    ]


def _text(x: float, y: float, words: str, anchor: str, name: str = "small") -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'

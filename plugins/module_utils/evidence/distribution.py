# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery times of a drill that was repeated, as a picture: one dot a drill on a scale from zero. Inline SVG, pure.

●     ● ●●    ●           a dot a drill, as wide as it is likely that two meet
├──────┼───┃──────┤       seconds; the stroke is the median
"""

from __future__ import annotations

import math
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.picture import seconds

WIDTH = 640
HEIGHT = 56
SIDE = 24
AXIS = 34
RADIUS = 5


def svg(values: t.Sequence[float], median: float, title: str) -> str:
    """The picture; ``title`` is what a screen reader says.

    :param values: seconds, one or more.
    """
    end = nice_end(max(values))

    def x(value: float) -> float:
        return round(SIDE + (WIDTH - 2 * SIDE) * value / end, 1)

    ticks = [end * part / 4 for part in range(5)]
    dots = "".join(f'<circle class="acked" cx="{x(value)}" cy="16" r="{RADIUS}" opacity=".75"/>' for value in values)
    labels = "".join(f'<text class="small" x="{x(tick)}" y="{HEIGHT - 6}" text-anchor="middle">{seconds(tick)}</text>' for tick in ticks)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        f'<path class="axis" d="M{x(0)} {AXIS}H{x(end)}"/>'
        f'<path class="span" d="M{x(median)} 6V{AXIS}"/>{dots}{labels}</svg>'
    )


def nice_end(longest: float) -> float:
    """The end of a scale that holds ``longest``: 1, 2, 4 or 8 times a power of ten."""
    if longest <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(longest))
    return float(next(factor * power for factor in (1, 2, 4, 8, 10) if longest <= factor * power))

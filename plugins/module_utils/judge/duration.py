# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long something takes by how many bytes it has to move: a line through few measurements, and how sure it is. Pure.

    seconds = fixed + bytes × seconds per byte          neither is ever negative

The line is the one whose logarithmic errors are least in sum, so that a single disturbed measurement does not bend it.
Prior: time comes from bytes. Where measurements are of one size, no fit can tell the fixed part from the rate, and the
line without a fixed part is taken; the interval then reaches to the line without a rate.
"""

from __future__ import annotations

import itertools
import math
import statistics
import typing as t
from dataclasses import dataclass

#: Fewer measurements than this are no basis: with two, nothing is left to test a line by.
LEAST_SAMPLES = 3
#: The newest measurements that are looked at. The work grows with the fourth power.
NEWEST = 20
#: What a fixed part costs, as an error of the whole: a hundredth part of it is worth 0.0002 of error.
PRIOR = 0.02
#: Lines whose mean error is this much above the best one's fit as well.
ALIKE = 0.03
#: The interval is never narrower than this, as a logarithm: three good measurements are luck.
LEAST_ERROR = 0.1
#: The part of all measurements that the interval has to hold.
HELD = 0.9
#: Shorter than that nothing is measured.
INSTANT = 0.001


@dataclass(frozen=True)
class Sample:
    """One measurement. ``weight`` is above 0."""

    bytes: float
    seconds: float
    weight: float = 1.0


@dataclass(frozen=True)
class Line:
    """``fixed`` in seconds, ``rate`` in seconds a byte."""

    fixed: float
    rate: float

    def at(self, amount: float) -> float:
        return max(self.fixed + self.rate * amount, INSTANT)


@dataclass(frozen=True)
class Estimate:
    """Seconds, and the interval that they are expected in."""

    seconds: float
    low: float
    high: float

    def __add__(self, other: Estimate) -> Estimate:
        """Errors may come together, so bounds are added as they are."""
        return Estimate(self.seconds + other.seconds, self.low + other.low, self.high + other.high)


@dataclass(frozen=True)
class Model:
    """The best line, and all that fit about as well.

    ``error``: the logarithm of the factor by which measurements differ from what the others say of them.
    """

    line: Line
    alike: tuple[Line, ...]
    error: float
    n: int
    #: The most bytes that were measured.
    largest: float

    def at(self, amount: float) -> Estimate:
        """The time for so many bytes."""
        around = [line.at(amount) for line in (self.line, *self.alike)]
        return Estimate(self.line.at(amount), min(around) * math.exp(-self.error), max(around) * math.exp(self.error))

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "fixed_seconds": self.line.fixed,
            "bytes_per_second": 1 / self.line.rate if self.line.rate else None,
            "error": self.error,
            "n": self.n,
            "largest_bytes": self.largest,
            "alike": [[line.fixed, line.rate] for line in self.alike],
        }


def from_dict(known: t.Mapping[str, t.Any]) -> Model:
    """A model that was written down.

    :raises KeyError, TypeError, ValueError: it was not.
    """
    speed = known["bytes_per_second"]
    line = Line(float(known["fixed_seconds"]), 1 / float(speed) if speed else 0.0)
    alike = tuple(Line(float(fixed), float(rate)) for fixed, rate in known["alike"])
    return Model(line, alike, float(known["error"]), int(known["n"]), float(known["largest_bytes"]))


def fit(samples: t.Sequence[Sample]) -> Model | None:
    """The model that the newest measurements give, oldest first; None for too few."""
    used = samples[-NEWEST:]
    if len(used) < LEAST_SAMPLES:
        return None
    ranked = _ranked(used)
    best_cost, best = ranked[0]
    errors = sorted(_left_out_errors(used))
    error = max(errors[math.ceil(HELD * len(errors)) - 1], LEAST_ERROR)
    allowed = best_cost + max(ALIKE, best_cost / math.sqrt(len(used)))
    largest = max(one.bytes for one in used)
    alike = _extremes([line for cost, line in ranked if cost <= allowed], largest)
    return Model(best, alike, error, len(used), largest)


def ratios(samples: t.Sequence[Sample]) -> list[float]:
    """How much longer each of the newest measurements took than the line through all of them says."""
    used = samples[-NEWEST:]
    if not used:
        return []
    line = _ranked(used)[0][1]
    return [max(one.seconds, INSTANT) / line.at(one.bytes) for one in used]


def _left_out_errors(samples: t.Sequence[Sample]) -> t.Iterator[float]:
    """What each measurement differs by from the line through the others."""
    for number, one in enumerate(samples):
        others = [*samples[:number], *samples[number + 1 :]]
        yield abs(_error(_ranked(others)[0][1], one))


def _ranked(samples: t.Sequence[Sample]) -> list[tuple[float, Line]]:
    """Every line that could be the best one, with its mean error, the best first."""
    middle = statistics.median(one.bytes for one in samples)
    weight = sum(one.weight for one in samples)

    def cost(line: Line) -> float:
        wrong = sum(one.weight * abs(_error(line, one)) for one in samples) / weight
        return wrong + PRIOR * min(line.fixed / line.at(middle), 1.0)

    ranked = [(cost(line), line) for line in _candidates(samples)]
    return sorted(ranked, key=lambda item: (item[0], item[1].fixed, item[1].rate))


def _candidates(samples: t.Sequence[Sample]) -> t.Iterator[Line]:
    """The sum of errors is least on, or close to, a line through two measurements, or through one at a bound."""
    for one in samples:
        yield Line(one.seconds, 0.0)
        if one.bytes >= 1:
            yield Line(0.0, one.seconds / one.bytes)
    for one, other in itertools.combinations(samples, 2):
        if abs(one.bytes - other.bytes) >= 1:
            rate = (one.seconds - other.seconds) / (one.bytes - other.bytes)
            fixed = one.seconds - rate * one.bytes
            if rate >= 0 and fixed >= 0:
                yield Line(fixed, rate)


def _error(line: Line, one: Sample) -> float:
    return math.log(max(one.seconds, INSTANT) / line.at(one.bytes))


def _extremes(lines: t.Sequence[Line], largest: float) -> tuple[Line, ...]:
    """Of lines that fit alike, those that are the lowest or the highest one somewhere."""
    places = (0.0, largest / 4, largest, largest * 4, largest * 16)
    kept = {choose((line.at(x), line.fixed, line.rate) for line in lines) for x in places for choose in (min, max)}
    return tuple(
        sorted({Line(fixed, rate) for _seconds, fixed, rate in kept}, key=lambda line: (line.fixed, line.rate))
    )

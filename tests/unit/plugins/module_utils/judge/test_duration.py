# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines through few measurements: exact where they are exact, unbent by one accident, unsure where nothing tells."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import duration
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.duration import Model, Sample, fit

GIB = 2**30


def taken(*gibibytes: float, fixed: float = 2.0, each: float = 6.0) -> list[Sample]:
    return [Sample(size * GIB, fixed + each * size) for size in gibibytes]


def fitted(samples: list[Sample]) -> Model:
    model = fit(samples)
    assert model is not None
    return model


@pytest.mark.parametrize("samples", [[], taken(1), taken(1, 2)])
def test_too_few_measurements_are_no_basis(samples: list[Sample]) -> None:
    assert fit(samples) is None


def test_what_lies_on_a_line_is_continued() -> None:
    model = fitted(taken(0.5, 1, 3))
    assert model.at(8 * GIB).seconds == pytest.approx(50)
    assert model.at(0).seconds == pytest.approx(2)


def test_one_disturbed_restore_does_not_bend_the_line() -> None:
    disturbed = [*taken(0.5, 1, 2, 3), Sample(GIB, 80.0)]
    estimate = fitted(disturbed).at(4 * GIB)
    assert estimate.seconds == pytest.approx(26)
    assert estimate.high > 80, "it was measured, so it can happen again"


def test_restores_of_one_size_leave_it_open_what_another_size_takes() -> None:
    model = fitted([Sample(GIB, seconds) for seconds in (9.9, 10.0, 10.1)])
    same, larger = model.at(GIB), model.at(4 * GIB)
    assert same.seconds == pytest.approx(10) and same.high < 12
    assert larger.seconds == pytest.approx(40), "the prior: time comes from bytes"
    assert larger.low < 10 < 40 < larger.high


def test_sizes_that_hardly_differ_do_not_tell_the_fixed_part_either() -> None:
    model = fitted([Sample(size * GIB, 10.0) for size in (1.0, 1.01, 1.02)])
    assert model.at(4 * GIB).seconds == pytest.approx(40, rel=0.05)
    assert model.at(4 * GIB).low < 10


def test_an_interval_is_never_a_point() -> None:
    estimate = fitted(taken(0.5, 1, 2, 3, 4)).at(2 * GIB)
    assert estimate.low < 0.92 * estimate.seconds and estimate.high > 1.08 * estimate.seconds


def test_newer_measurements_count_more() -> None:
    old = [Sample(GIB, 10.0, 0.25) for _time in range(4)]
    new = [Sample(GIB, 20.0, 1.0) for _time in range(3)]
    assert fitted(old + new).at(GIB).seconds == pytest.approx(20)


def test_only_the_newest_are_looked_at() -> None:
    model = fitted([Sample(GIB, 1000.0)] * 10 + taken(*range(1, 21)))
    assert (model.n, model.at(GIB).high < 20) == (duration.NEWEST, True)


def test_nine_of_ten_new_measurements_lie_in_the_interval() -> None:
    """With an error of 15 %, six measurements, and sizes that were not among them."""
    dice, held, wrong = random.Random(20261126), [], []

    def measured(size: float) -> float:
        return (1.5 + 6 * size) * math.exp(dice.gauss(0, 0.15))

    for _run in range(40):
        model = fitted([Sample(size * GIB, measured(size)) for size in (0.5, 1, 3) * 2])
        for size in (0.75, 2, 5, 8):
            estimate, seconds = model.at(size * GIB), measured(size)
            held.append(estimate.low <= seconds <= estimate.high)
            wrong.append(abs(estimate.seconds / seconds - 1))
    assert sum(held) >= 0.85 * len(held)
    assert sorted(wrong)[len(wrong) // 2] < 0.25


def test_a_model_that_was_written_down_says_the_same() -> None:
    model = fitted([*taken(0.5, 1, 3), Sample(2 * GIB, 20.0)])
    kept = duration.from_dict(json.loads(json.dumps(model.as_dict())))
    for size in (0, GIB, 9 * GIB):
        assert vars(kept.at(size)) == pytest.approx(vars(model.at(size)))


SAMPLES = st.builds(
    Sample,
    bytes=st.floats(0, 1e15),
    seconds=st.floats(0, 1e7),
    weight=st.floats(0.001, 1),
)


@given(st.lists(SAMPLES, min_size=3, max_size=8), st.floats(0, 1e15))
def test_whatever_was_measured_the_estimate_is_a_time_within_its_interval(samples: list[Sample], size: float) -> None:
    estimate = fitted(samples).at(size)
    assert 0 < estimate.low <= estimate.seconds <= estimate.high < math.inf


@given(st.lists(SAMPLES, min_size=3, max_size=8), st.floats(0, 1e14))
def test_more_bytes_never_take_less_time(samples: list[Sample], size: float) -> None:
    model = fitted(samples)
    assert model.at(size).seconds <= model.at(2 * size).seconds


def test_ratios_say_how_much_longer_each_took() -> None:
    assert duration.ratios([]) == []
    assert duration.ratios([*taken(1, 2, 3), Sample(GIB, 16.0)]) == pytest.approx([1, 1, 1, 2])

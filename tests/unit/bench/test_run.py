# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves behind, and which measurements need a lab."""

from __future__ import annotations

import importlib.util
import re
import sys
import typing as t
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def run() -> t.Any:
    """tests/bench/run.py; tests/chaos has one of that name, too."""
    spec = importlib.util.spec_from_file_location("bench_run", TOP / "tests/bench/run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its own module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_make_asks_for_a_lab_where_one_is_needed(run: t.Any) -> None:
    [told] = re.findall(r"^HERE := (.+)$", (TOP / "make/bench.mk").read_text(), re.MULTILINE)
    assert set(told.split()) == {name for name, one in run.MEASUREMENTS.items() if one.here}


@pytest.mark.parametrize(("here", "removed"), [(True, ["after"]), (False, [])])
def test_what_failed_is_removed_here_and_left_in_a_lab(run: t.Any, here: bool, removed: list[str]) -> None:
    done: list[str] = []

    def fail(_bench: t.Any) -> dict[str, float]:
        raise AssertionError("no sample")

    measurement = run.Measurement(ours=fail, after=lambda _bench: done.append("after"), here=here)
    with pytest.raises(AssertionError, match="no sample"):
        run.measured(measurement, None, 1)
    assert done == removed


def test_ours_and_its_reference_take_turns(run: t.Any) -> None:
    said: list[str] = []

    def taker(name: str) -> t.Callable[[t.Any], dict[str, float]]:
        return lambda _bench: said.append(name) or {"figure": float(len(said))}  # type: ignore[func-returns-value]

    measurement = run.Measurement(
        ours=taker("ours"), reference=taker("reference"), after=lambda _bench: said.append("after")
    )
    ours, reference = run.measured(measurement, None, 2)
    assert said == ["ours", "reference", "ours", "reference", "after"]
    assert (ours, reference) == ({"figure": [1.0, 3.0]}, {"figure": [2.0, 4.0]})

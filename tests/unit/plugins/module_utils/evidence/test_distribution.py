# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a distribution: every drill is a dot inside it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import distribution


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0], [0.3, 1.2, 99.9], [3600.0, 10.0, 7.0]])
def test_every_drill_is_a_dot_inside_the_picture(values: list[float]) -> None:
    picture = distribution.svg(values, values[0], "recovery times")
    ElementTree.fromstring(picture)
    places = [float(x) for x in re.findall(r'cx="([\d.]+)"', picture)]
    assert len(places) == len(values)
    assert all(distribution.SIDE <= x <= distribution.WIDTH - distribution.SIDE for x in places)


@pytest.mark.parametrize(("longest", "end"), [(0.0, 1.0), (0.7, 0.8), (1.0, 1.0), (6.5, 8.0), (9.1, 10.0), (99.0, 100.0)])
def test_the_scale_ends_at_a_round_number(longest: float, end: float) -> None:
    assert distribution.nice_end(longest) == pytest.approx(end)

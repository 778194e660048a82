# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import random
import re
from xml.etree import ElementTree

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import picture
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.ledger import Attempt
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.picture import Mark, Picture, Scene, Window

WIDTHS = (960, 400)


def meet(marks: list[picture.Placed]) -> list[tuple[str, str]]:
    """Labels that overlap another one, or that a stem runs through."""
    found = []
    for one, other in itertools.permutations(marks, 2):
        overlap = one.lane == other.lane and one.x < other.x + other.width and other.x < one.x + one.width
        crossed = other.lane > one.lane and one.x < other.x < one.x + one.width
        if overlap or crossed:
            found.append((one.text, other.text))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_no_label_meets_another_label_or_stem(seed: int) -> None:
    chance = random.Random(seed)
    spread = chance.choice([5, 60, 900])
    marks = [
        (Mark(f"T{number}", "", 0), "x" * chance.randint(3, 30), 40 + chance.random() * spread) for number in range(13)
    ]
    assert meet(picture.lanes(marks)) == []


def test_phases_at_the_same_moment_stand_below_each_other() -> None:
    placed = picture.lanes([(Mark(f"T{number}", "", 1.0), "word", 100.0) for number in range(12)])
    assert sorted(one.lane for one in placed) == list(range(12))


@pytest.mark.parametrize(
    ("span", "at_most", "expected"),
    [(10, 12, 1), (10, 5, 2), (0.9, 12, 0.1), (3600, 12, 500), (1, 1, 1), (70, 180, 0.5)],
)
def test_steps_are_round(span: float, at_most: int, expected: float) -> None:
    assert picture.step(span, at_most) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 s"), (0.3124, "0.312 s"), (4.312, "4.31 s"), (48.23, "48.2 s"), (312.4, "312 s"), (-2.4, "-2.40 s")],
)
def test_seconds_as_people_read_them(value: float, said: str) -> None:
    assert picture.seconds(value) == said


def commits(begin: float, end: float, outcome: str = "acked", client: int = 0, every: float = 0.05) -> list[Attempt]:
    count = round((end - begin) / every)
    return [Attempt(client, begin + n * every, begin + n * every + 0.004, outcome) for n in range(count)]


def outage(length: float) -> Scene:
    attempts = commits(-5, 0) + commits(0, length, "failed") + commits(length, length + 30)
    marks = [Mark("T0", "fault", 0.0), Mark("T7", "first ack", length), Mark("T11", "new backup", length + 25)]
    return Scene(attempts, marks, (0.0, length), interval=0.05)


def drawn(scene: Scene, window: Window | None, width: int, near: Window | None = None) -> ElementTree.Element:
    assert window is not None
    return ElementTree.fromstring(Picture(scene, window, width, title="a <title>", near=near).draw())


def classes(svg: ElementTree.Element) -> set[str]:
    return {element.attrib["class"] for element in svg.iter() if "class" in element.attrib}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("length", [0.02, 0.4, 4.3, 300.0, 7200.0])
def test_everything_lies_within_the_picture(length: float, width: int) -> None:
    scene = outage(length)
    for window, near in ((picture.close_up(scene), None), (picture.whole(scene), picture.close_up(scene))):
        svg = drawn(scene, window, width, near)
        right, bottom = (float(number) for number in svg.attrib["viewBox"].split()[2:])
        for text in svg.iter("text"):
            x, y = float(text.attrib["x"]), float(text.attrib["y"])
            length_of_text = len("".join(text.itertext())) * picture.LETTER
            end = x + length_of_text * {"middle": 0.5, "end": 0.0}.get(text.attrib.get("text-anchor", ""), 1.0)
            assert 0 <= x <= right
            assert end <= right + 8
            assert 0 < y <= bottom
        for path in svg.iter("path"):
            for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", path.attrib["d"]):
                assert 0 <= float(x) <= right
                assert 0 <= float(y) <= bottom


def test_bars_count_every_acknowledgement_of_the_window() -> None:
    scene = Scene(commits(0, 10), [], (2.0, 3.0), interval=0.05)
    shown = Picture(scene, Window(1, 6), 960, title="")
    acked, unsafe, bad = shown._counts(shown.bucket())
    assert set(acked.values()) == {round(shown.bucket() / 0.05)}
    assert (unsafe, bad) == ({}, {})


def test_failures_are_shown_only_if_there_are_any() -> None:
    scene = outage(4)
    assert "failed" in classes(drawn(scene, picture.close_up(scene), 960))
    calm = Scene(commits(-5, 5), [], (-0.01, 0.04))
    assert "failed" not in classes(drawn(calm, picture.close_up(calm), 960))


def test_a_stall_is_shown_as_a_wait() -> None:
    waiting = [*commits(-3, 0), Attempt(0, 0.0, 0.9, "acked"), *commits(0.95, 4)]
    scene = Scene(waiting, [], (0.0, 0.9), interval=0.05)
    shown = classes(drawn(scene, picture.close_up(scene), 960))
    assert "waited" in shown
    assert "failed" not in shown


def test_what_was_acknowledged_but_not_safe_has_a_colour_of_its_own() -> None:
    scene = Scene([*commits(-3, 0), *commits(1, 4, "acked_unsafe")], [], (0.0, 1.0))
    assert "unsafe" in classes(drawn(scene, picture.close_up(scene), 960))


def test_the_whole_leaves_out_the_phases_of_the_close_up_and_frames_it() -> None:
    scene = outage(4)
    near = picture.close_up(scene)
    svg = drawn(scene, picture.whole(scene), 960, near)
    labels = ["".join(text.itertext()) for text in svg.iter("text") if text.attrib["class"] == "mark"]
    assert labels == ["T11 new backup 29.0 s"]
    assert "near" in classes(svg)


def test_a_phone_gets_short_labels() -> None:
    scene = outage(4)
    svg = drawn(scene, picture.close_up(scene), 400)
    assert {"".join(text.itertext()) for text in svg.iter("text") if text.attrib["class"] == "mark"} == {"T0", "T7"}


def test_a_title_is_text() -> None:
    scene = outage(4)
    title = drawn(scene, picture.close_up(scene), 960).find("title")
    assert title is not None
    assert title.text == "a <title>"


def test_without_an_outage_there_is_nothing_to_look_at_closely() -> None:
    assert picture.close_up(Scene([], [], None)) is None
    assert picture.whole(Scene([], [], None)) is None
    assert picture.whole(Scene([], [Mark("T0", "fault", 0.0)], None)) == Window(-0.5, 0.5)


def test_marks_alone_make_a_picture() -> None:
    scene = Scene([], [Mark("T0", "fault", 0.0), Mark("T9", "redundancy back", 31.6)], None)
    svg = drawn(scene, picture.whole(scene), 960)
    assert "acked" not in classes(svg)
    assert "mark" in classes(svg)


def test_a_long_ledger_is_a_small_picture() -> None:
    scene = Scene([one for client in range(8) for one in commits(0, 600, client=client)], [], (300.0, 300.1))
    assert len(Picture(scene, Window(0, 600), 960, title="").draw()) < 40_000

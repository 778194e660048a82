# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import timeline as timelines
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.timeline import Timeline


@pytest.fixture
def timeline(tmp_path: Path) -> Timeline:
    return Timeline(tmp_path / "timeline.jsonl")


def test_events_are_chained_and_stamped(timeline: Timeline) -> None:
    first = timeline.append("opened", operation="drill")
    second = timeline.append("mark", mark="fault")
    chain = timeline.read()
    assert chain.events == (first, second)
    assert chain.problems == ()
    assert first["clock"] == "control"
    assert second["monotonic_ns"] > first["monotonic_ns"]
    assert second["utc"].endswith("Z")


def test_a_stamp_of_another_clock_is_kept(timeline: Timeline) -> None:
    event = timeline.append("mark", clock="observer", monotonic_ns=42, error_ns=7)
    assert (event["clock"], event["monotonic_ns"], event["error_ns"]) == ("observer", 42, 7)


def test_fields_cannot_replace_the_chain(timeline: Timeline) -> None:
    event = timeline.append("mark", n=99, previous="0")
    assert event["n"] == 1
    assert timeline.read().problems == ()


def test_each_event_is_synced_before_append_returns(timeline: Timeline, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(timelines.os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    timeline.append("opened")
    timeline.append("mark")
    assert len(sizes) == 2
    assert sizes[1] == timeline.path.stat().st_size


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_cut_off_anywhere_is_kept_and_marked(timeline: Timeline, cut: int) -> None:
    timeline.append("opened")
    whole = timeline.path.read_bytes()
    timeline.append("mark", mark="fault")
    timeline.path.write_bytes(timeline.path.read_bytes()[: len(whole) + cut])
    timeline.append("mark", mark="detected")
    chain = timeline.read()
    assert chain.problems == ()
    assert [event["kind"] for event in chain.events] == ["opened", "torn", "mark"]
    assert chain.events[1]["detail"] == "line 2 was cut off"
    assert timeline.path.read_bytes().splitlines()[1] != b""


def test_a_line_that_lost_only_its_end_is_whole(timeline: Timeline) -> None:
    timeline.append("opened")
    timeline.path.write_bytes(timeline.path.read_bytes().rstrip(b"\n"))
    timeline.append("mark")
    assert [event["kind"] for event in timeline.read().events] == ["opened", "mark"]
    assert timeline.read().problems == ()


def _append_many(path: Path, count: int) -> None:
    for number in range(count):
        Timeline(path).append("mark", mark=str(number))


def test_several_processes_write_one_chain(timeline: Timeline) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_many, args=(timeline.path, 20)) for _worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    chain = timeline.read()
    assert chain.problems == ()
    assert len(chain.events) == 80


def test_what_was_appended_survives_a_kill(timeline: Timeline) -> None:
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=_append_many, args=(timeline.path, 100_000))
    worker.start()
    while not timeline.path.exists() or timeline.path.stat().st_size < 2000:
        assert worker.is_alive()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(60)
    written = len(timeline.read().events)
    timeline.append("mark", mark="after")
    chain = timeline.read()
    assert chain.problems == ()
    assert len(chain.events) >= written + 1

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a verification aims, by facts alone: along which timeline, from which backup, and what stale means."""

from __future__ import annotations

import json
import os
import pwd
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import verification
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import content_store, scratch
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Backup
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import wal_chain, window
from ansible_collections.fraiseql.resilience.plugins.module_utils.verified_copy import Findings, Order

SEGMENT = 16 * 2**20


def source(timelines: dict[int, tuple[int, int]], histories: dict[int, str] | None = None) -> verification.Source:
    """Segments by timeline, first and last, and one backup in segment 2 of the first."""
    files = {}
    for number, (first, last) in timelines.items():
        for segment in range(first, last + 1):
            name = wal_chain.segment_name(number, segment, SEGMENT)
            files[f"{name[:16]}/{name}-{'a' * 40}.zst"] = 1_700_000_000 + 100 * number + segment
    for number in histories or {}:
        files[f"{number:08X}.history"] = 1_700_000_000 + 100 * number
    chain = wal_chain.walk(1, files, histories or {})
    name = wal_chain.segment_name(1, 2, SEGMENT)
    backup = Backup(
        "20261126-010000F", "full", 1, 1, name, name, 2 * SEGMENT + 40, 2 * SEGMENT + 300, 1_700_000_000, 1_700_000_001,
        1000, 1000, None,
    )  # fmt: skip
    ends = {max(timelines): window.End(max(last for _f, last in timelines.values()) * SEGMENT + 5000)}
    held = window.Holdings(chain, (backup,), frozenset({backup.label}), ends)
    return verification.Source(t.cast("t.Any", None), t.cast("t.Any", None), held, window.windows(held))


def name(lsn: int, timeline: int = 1, age: float = 0.0) -> content_store.Name:
    taken = datetime.now(timezone.utc) - timedelta(seconds=age)
    return content_store.Name("x", taken, timeline, lsn)


def test_an_lsn_is_reached_along_its_own_timeline() -> None:
    request, _why = verification._reach(source({1: (2, 5)}), 4 * SEGMENT, 1)
    assert request is not None
    assert (request.timeline, request.backup.label, request.replayed_bytes) == (1, "20261126-010000F", 2 * SEGMENT - 40)


def test_an_lsn_just_before_a_failover_is_reached_along_the_timeline_that_left_after_it() -> None:
    """Its own timeline's last segment is archived as partial only."""
    fork = 5 * SEGMENT + 4000
    history = {2: f"1\t{fork >> 32:X}/{fork & 0xFFFFFFFF:X}\tno recovery target specified\n"}
    held = source({1: (2, 4), 2: (5, 6)}, history)
    request, _why = verification._reach(held, fork - 1000, 1)
    assert request is not None
    assert request.timeline == 2
    beyond, why = verification._reach(held, fork + 1000, 1)
    assert beyond is None, "that LSN of timeline 1 is not in timeline 2"
    assert "outside the recovery window" in why


def test_an_lsn_that_no_wal_reaches_is_not_aimed_at() -> None:
    request, why = verification._reach(source({1: (2, 5)}), 9 * SEGMENT, 1)
    assert request is None
    assert "nothing archived lies at or after it" in why


def test_a_repository_is_stale_where_a_manifests_wal_never_came() -> None:
    held = source({1: (2, 5)})
    old = verification.STALE_SECONDS + 1
    check = verification._stale(1, held, name(7 * SEGMENT, age=old), "why")
    assert check is not None and check.verdict.value == "failed"
    assert verification._stale(1, held, name(7 * SEGMENT), "why") is None, "it may still come"
    assert verification._stale(1, held, name(6 * SEGMENT, age=old), "why") is None, "nothing was written since"


def test_a_prediction_goes_by_the_last_rates_of_this_level(tmp_path: Path) -> None:
    place = scratch.Place("/x", state=tmp_path)
    order = Order("orders", level="standard")
    request, _why = verification._reach(source({1: (2, 5)}), 4 * SEGMENT, 1)
    assert request is not None
    aim = verification.Aim(request, None)
    assert verification._predicted(order, place, aim) is None
    whole = {
        "stanza": "orders", "repo": 1, "level": "standard", "restored_bytes": 500,
        "replayed_bytes": request.replayed_bytes * 2, "room": {},
        "seconds": {"total": 12.0, "restore": 4.0, "replay": 3.0, "checks": 2.0},
    }  # fmt: skip
    verification.record(whole, scratch.Place("/x", _user(), state=tmp_path))
    other = {**whole, "level": "full", "seconds": {**whole["seconds"], "replay": None}}  # type: ignore[dict-item]
    verification.record(other, scratch.Place("/x", _user(), state=tmp_path))
    assert verification._predicted(order, place, aim) == 2 * (4.0 + 2.0) + 3.0 / 2 + 3.0
    assert verification._predicted(Order("orders", level="full"), place, aim) is None


def _user() -> str:
    """Whoever runs the tests, whatever the environment says of it."""
    return pwd.getpwuid(os.geteuid()).pw_name


def test_what_could_not_be_done_is_recorded_as_unknown() -> None:
    answer = verification.undone(Order("orders", by="timer"), "the disk is too small")
    assert (answer["verdict"], answer["by"], answer["label"]) == ("unknown", "timer", None)
    assert answer["checks"] == [
        {"name": "verification: it could be done", "verdict": "unknown", "reason": "the disk is too small"}
    ]


def test_what_a_full_disk_has_torn_takes_nothing_with_it(tmp_path: Path) -> None:
    place, answer = scratch.Place("/x", _user(), state=tmp_path), verification.undone(Order("orders"), "why")
    path = verification.record(answer, place)
    path.write_text('{"schema": "fraiseq', encoding="utf-8")
    verification.record(answer, place)
    assert [one["verdict"] for one in verification.results(place, "orders")] == ["unknown"]


def test_a_backup_that_ends_while_the_repository_is_looked_at_is_not_missed_in_it(tmp_path: Path) -> None:
    """The timer of a backup and that of a verification know nothing of each other."""
    catalogue = tmp_path / "backups/orders/catalogue.jsonl"
    catalogue.parent.mkdir(parents=True)

    def ends(label: str) -> None:
        with catalogue.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"repo": 1, "verdict": "passed", "label": label}) + "\n")

    def run(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        if "info" not in argv:
            return Completed(tuple(argv), 0, "{}", "", 0.1)
        backup = {
            "label": "20261126-010000F", "type": "full", "database": {"id": 1, "repo-key": 1},
            "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000002"},
            "lsn": {"start": "0/2000028", "stop": "0/2000158"}, "timestamp": {"start": 1, "stop": 2},
            "info": {"size": 10, "repository": {"delta": 5}}, "error": False,
        }  # fmt: skip
        told = [{
            "name": "orders", "status": {"code": 0, "message": "ok"}, "backup": [backup], "archive": [],
            "repo": [{"key": 1, "status": {"code": 0, "message": "ok"}}],
            "db": [{"id": 1, "repo-key": 1, "system-id": 77, "version": "17"}],
        }]  # fmt: skip
        ends("20261127-010000F")
        return Completed(tuple(argv), 0, json.dumps(told), "", 0.1)

    ends("20261126-010000F")
    found = Findings()
    verification._look(Order("orders"), scratch.Place("/x", _user(), state=tmp_path), found, run)
    [check] = [one for one in found.checks if "catalogue" in one.name]
    assert (check.verdict.value, check.reason) == ("passed", "the newest is 20261126-010000F")

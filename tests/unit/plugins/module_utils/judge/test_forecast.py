# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forecasts: learned from restores alone, per repository; what was never measured has no number."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import forecast
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.forecast import Known
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import lsn_to_int

GIB, MIB = 2**30, 2**20
NOW = 1_795_000_000.0
RTO = {"rto_seconds": 3600}
Lines = list[dict[str, t.Any]]


def lsn(number: int) -> str:
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def backup(day: float, size: float, *, repo: int = 1, wal: int = 64 * MIB, **more: t.Any) -> dict[str, t.Any]:
    """The backup of a day, counted from 0; ``wal`` bytes of WAL are written a day."""
    begin = GIB + int(day * wal)
    return {
        "utc": forecast.records.utc(NOW + (day - 30) * 86400), "repo": repo, "label": f"F{repo}-{day}", "type": "full",
        "verdict": "passed", "size": int(size), "start_lsn": lsn(begin), "stop_lsn": lsn(begin + 4096),
        "system_id": "77", "versions": {"postgresql": "17"}, **more,
    }  # fmt: skip


def verified(
    size: float, *, repo: int = 1, wal: float = 64 * MIB, factor: float = 1.0, **more: t.Any
) -> dict[str, t.Any]:
    """A restore at 6 s a GiB and 2 s more, a replay at 40 s a GiB and 1 s more, checks at 3 s a GiB."""
    restore, replay, checks = factor * (2 + 6 * size / GIB), factor * (1 + 40 * wal / GIB), 3 * size / GIB
    return {
        "utc": forecast.records.utc(NOW), "repo": repo, "level": "standard", "label": None, "verdict": "passed",
        "seconds": {"total": restore + replay + checks, "restore": restore, "replay": replay, "checks": checks},
        "restored_bytes": int(size), "replayed_bytes": int(wal), **more,
    }  # fmt: skip


CATALOGUE = [backup(day, 4 * GIB) for day in range(5)]
VERIFICATIONS = [verified(size * GIB, wal=wal * MIB) for size, wal in ((0.5, 16), (1, 128), (3, 64), (2, 256))]


def judged(catalogue: Lines = CATALOGUE, verifications: Lines = VERIFICATIONS, **more: t.Any) -> dict[str, t.Any]:
    objectives = more.pop("objectives", RTO)
    return forecast.judge(Known(catalogue, verifications, **more), objectives, NOW)


def kind(said: dict[str, t.Any], name: str) -> dict[str, t.Any]:
    return next(one for one in said["recoveries"] if one["kind"] == name)


def codes(said: dict[str, t.Any]) -> list[str]:
    return [one["code"] for one in said["warnings"]]


# what is known and what is not ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2])
def test_with_too_few_restores_nothing_has_a_number(count: int) -> None:
    said = judged(verifications=VERIFICATIONS[:count])
    assert said["verdict"] == "unknown"
    assert {(one["seconds"], one["low"], one["high"]) for one in said["recoveries"]} == {(None, None, None)}
    assert kind(said, "restore_newest")["reason"] == (
        f"{count} restores from repository 1 were measured, of at least 3"
    )


def test_without_a_backup_nothing_has_a_number() -> None:
    said = judged(catalogue=[])
    assert said["verdict"] == "unknown"
    assert kind(said, "restore_newest")["reason"] == "no backup in repository 1 tells its size"


def test_a_restore_is_copying_and_replay_of_all_wal_since_the_backup_began() -> None:
    end = lsn_to_int(CATALOGUE[-1]["start_lsn"]) + GIB
    one = kind(judged(ends={1: end}), "restore_newest")
    assert (one["restore_seconds"], one["replay_seconds"]) == (pytest.approx(26), pytest.approx(41))
    assert one["seconds"] == pytest.approx(67)
    assert one["low"] < 67 < one["high"]
    assert (one["basis"], one["bytes"], one["wal_bytes"]) == (4, 4 * GIB, GIB)


def test_where_nobody_looked_at_the_archive_its_end_is_as_far_as_backups_lie_apart() -> None:
    one = kind(judged(), "restore_newest")
    assert one["wal_bytes"] == 64 * MIB + 4096


def test_a_point_between_backups_takes_from_no_wal_to_the_most_that_lay_between_two() -> None:
    busy = [backup(day, 4 * GIB) for day in range(4)] + [backup(40, 4 * GIB)]
    calm, loud = kind(judged(), "pitr"), kind(judged(catalogue=busy), "pitr")
    assert calm["wal_bytes"] == loud["wal_bytes"] == 64 * MIB
    assert loud["high"] - calm["high"] == pytest.approx(40 * 36 * 64 / 1024 * 1.1, rel=0.05)


def test_each_repository_learns_from_its_own_restores() -> None:
    both = [*CATALOGUE, backup(4, 4 * GIB, repo=2)]
    said = judged(both, repos=[1, 2])
    assert kind(said, "restore_repo2")["seconds"] is None
    assert said["verdict"] == "unknown"
    slow = [verified(size * GIB, repo=2, factor=3.0) for size in (0.5, 1, 3)]
    said = judged(both, VERIFICATIONS + slow, repos=[1, 2])
    assert kind(said, "restore_repo2")["restore_seconds"] == pytest.approx(3 * 26)
    assert kind(said, "restore_newest")["restore_seconds"] == pytest.approx(26)
    assert "restore_repo2" not in {one["kind"] for one in judged()["recoveries"]}


def test_delta_restores_are_learned_apart() -> None:
    assert kind(judged(), "delta_restore")["reason"] == "0 delta restores were measured, of at least 3"
    delta = [verified(size * GIB, factor=0.1, delta=True) for size in (1, 2, 3)]
    said = judged(verifications=VERIFICATIONS + delta)
    assert kind(said, "delta_restore")["restore_seconds"] == pytest.approx(2.6)
    assert kind(said, "restore_newest")["restore_seconds"] == pytest.approx(26)


def test_a_whole_verification_is_forecast_from_whole_verifications() -> None:
    same = [verified(size * GIB) for size in (0.5, 1, 3)]
    one = kind(judged(verifications=same), "verification_standard")
    assert one["seconds"] == pytest.approx(26 + 3.5 + 12)


@pytest.mark.parametrize(
    "spoilt",
    [{"verdict": "failed"}, {"verdict": "unknown"}, {"restored_bytes": None}, {"seconds": None}, {"repo": "1"}],
)
def test_only_restores_that_passed_and_were_measured_teach(spoilt: dict[str, t.Any]) -> None:
    lines = [*VERIFICATIONS[:2], *({**line, **spoilt} for line in VERIFICATIONS)]
    assert kind(judged(verifications=lines), "restore_newest")["seconds"] is None


def test_restores_of_one_size_and_what_they_say_of_it() -> None:
    same = [verified(4 * GIB, wal=64 * MIB, factor=1 + part / 100) for part in range(4)]
    one = kind(judged(verifications=same), "restore_newest")
    assert one["seconds"] == pytest.approx(26 + 3.5, rel=0.05)
    assert one["high"] < 1.3 * one["seconds"]


def test_what_is_far_larger_than_anything_restored_says_so() -> None:
    one = kind(judged(catalogue=[backup(day, 40 * GIB) for day in range(3)]), "restore_newest")
    assert one["reason"] == "13 times as large as anything that was restored"


# objective ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rto", "verdict"), [(60, "passed"), (30.5, "unknown"), (28, "failed"), (10, "failed"), (None, "unknown")]
)
def test_an_interval_that_reaches_over_the_objective_proves_neither(rto: float | None, verdict: str) -> None:
    said = judged(objectives={} if rto is None else {"rto_seconds": rto})
    assert said["verdict"] == verdict
    assert {one["name"] for one in said["checks"]} == {"forecast_restore_newest", "forecast_pitr"}


# versions, clocks, lines ----------------------------------------------------------------------------------------------


def test_after_a_major_upgrade_older_restores_count_less_and_older_sizes_are_in_no_trend() -> None:
    before = [backup(day, (1 + day) * GIB, system_id="66", versions={"postgresql": "15"}) for day in range(20)]
    after = [backup(20 + day, 4 * GIB) for day in range(4)]
    old = [{**verified(size * GIB, factor=2.0), "label": "F1-1"} for size in (0.5, 1, 3) * 2]
    new = [{**verified(size * GIB), "label": "F1-21"} for size in (0.5, 1, 3)]
    said = judged(before + after, old + new)
    assert said["growth_bytes_per_day"] == 0
    assert kind(said, "restore_newest")["restore_seconds"] == pytest.approx(26)
    assert codes(said) == ["other_version"]
    # Without the upgrade the same lines would be a drift, and a growing database.
    assert judged(before, old)["growth_bytes_per_day"] == pytest.approx(GIB, rel=0.01)


def test_a_clock_that_was_set_back_changes_no_number_and_is_told() -> None:
    lines = copy.deepcopy(CATALOGUE)
    lines[2]["utc"] = "2035-01-01T00:00:00Z"
    said = judged(lines)
    assert codes(said) == ["clock_set_back"]
    assert said["recoveries"] == judged()["recoveries"]
    assert said["growth_bytes_per_day"] == 0


def test_lines_that_could_not_be_read_are_told() -> None:
    assert judged(problems=["results.jsonl: line 3 is torn"])["warnings"] == [
        {"code": "line_unread", "detail": "results.jsonl: line 3 is torn"}
    ]


def test_a_restore_to_the_past_makes_no_negative_interval() -> None:
    went_back = [*CATALOGUE, backup(1, 4 * GIB), backup(2, 4 * GIB)]
    said = judged(went_back)
    assert kind(said, "pitr")["wal_bytes"] == 64 * MIB
    assert kind(said, "restore_newest")["wal_bytes"] == 64 * MIB + 4096


def test_positions_that_went_back_are_no_interval() -> None:
    short = [backup(0, 4 * GIB), backup(1, 4 * GIB), backup(0.5, 4 * GIB)]
    assert kind(judged(short), "pitr")["wal_bytes"] == 64 * MIB


def test_backups_that_failed_are_no_size() -> None:
    failed = [*CATALOGUE, {**backup(9, 400 * GIB), "verdict": "failed"}, {**backup(9, 400 * GIB), "label": None}]
    assert kind(judged(failed), "restore_newest")["bytes"] == 4 * GIB


# what became of it ----------------------------------------------------------------------------------------------------


def test_every_verification_tests_the_forecast_before_it() -> None:
    made = forecast.kept(judged())
    later = [*VERIFICATIONS, verified(8 * GIB, wal=GIB), verified(8 * GIB, wal=GIB, factor=2.0)]
    past = judged(verifications=later, forecasts=[made])["errors"]
    assert (past["n"], past["median_percent"], past["max_percent"]) == (2, 25.0, 50.0)
    assert past["within_interval"] == 1
    assert past["tests"][0]["measured"] == pytest.approx(50 + 41)


def test_a_verification_is_no_test_of_what_was_said_after_it() -> None:
    made = {**forecast.kept(judged()), "verifications": len(VERIFICATIONS) + 1}
    assert judged(verifications=[*VERIFICATIONS, verified(GIB)], forecasts=[made])["errors"]["n"] == 0


@pytest.mark.parametrize("models", [None, [], [{}], [{"repo": 1, "restore": {"n": "x"}, "replay": {"n": 1}}], 7])
def test_a_forecast_that_cannot_be_read_tests_nothing(models: t.Any) -> None:
    made = {"verifications": 0, "models": models}
    assert judged(forecasts=[made])["errors"]["n"] == 0


def test_what_is_kept_is_json_and_does_not_grow_with_what_was_kept() -> None:
    made = forecast.kept(judged())
    again = forecast.kept(judged(verifications=[*VERIFICATIONS] * 9, forecasts=[made] * 9))
    assert again["errors"]["n"] > 0
    assert len(json.dumps(again)) < 2 * len(json.dumps(made))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.sampled_from(["passed", "0/1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["restore", "x"]), inner, max_size=3),
    max_leaves=4,
)


@given(st.data())
def test_no_field_of_any_kind_breaks_it(data: st.DataObject) -> None:
    catalogue, verifications = copy.deepcopy(CATALOGUE), copy.deepcopy(VERIFICATIONS)
    for line in (*catalogue, *verifications):
        name = data.draw(st.sampled_from(sorted(line)))
        line[name] = data.draw(ANYTHING)
    said = judged(catalogue, verifications, forecasts=[forecast.kept(judged())])
    assert said["verdict"] in ("passed", "unknown", "failed")
    json.dumps(said, allow_nan=False)

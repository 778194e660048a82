# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a month's report says of failures, gaps, restores and retention; every one of them shown red once."""

from __future__ import annotations

import copy
import json
import typing as t
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import months
import pytest
from hypothesis import given
from hypothesis import strategies as st
from months import BEGIN, NOW, OBJECTIVES

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import schema
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_report as reports
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import period as periods
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.forecast import Known

SCHEMA = json.loads((Path(__file__).resolve().parents[5] / "playbooks/schemas/backup-report-1.json").read_text())
NOVEMBER = periods.period_of("2026-11", NOW)
MONTH = months.month()


def report(known: Known, **more: t.Any) -> dict[str, t.Any]:
    given = {"windows": months.windows(), "objectives": OBJECTIVES, "period": NOVEMBER, "now": NOW, **more}
    return reports.backup_report(known, **given)


def checks(said: dict[str, t.Any]) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["verdict"], one["reason"]) for one in said["checks"]}


def whole(days: int = 30) -> Known:
    """A month in which nothing went wrong."""
    catalogue = [months.backup(hour, "full" if hour % 24 == 1 else "incr") for hour in range(days * 24 + 2)]
    tests = [months.verification(hour, "standard") for hour in range(4, days * 24, 24)]
    return Known(catalogue, tests, repos=[1])


# the period -----------------------------------------------------------------------------------------------------------


def test_a_month_is_that_of_utc() -> None:
    assert (NOVEMBER.begin, NOVEMBER.end) == (BEGIN, BEGIN + 30 * 86400)
    december = periods.period_of("2026-12", BEGIN + 400 * 86400)
    assert december.end == datetime(2027, 1, 1, tzinfo=timezone.utc).timestamp()


def test_the_present_month_ends_now_and_no_month_is_the_last_thirty_days() -> None:
    now = BEGIN + 86400
    assert periods.period_of("2026-11", now).end == now
    assert periods.period_of(None, now) == periods.Period("30 days until 2026-11-02", now - 30 * 86400, now)
    assert (periods.period_of(None, now).file_part, NOVEMBER.file_part) == ("2026-11-02", "2026-11")


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "November", "2026-11-01", "2026-00"])
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(InputError, match="this is no month"):
        periods.period_of(month, NOW)


def test_a_month_to_come_is_refused() -> None:
    with pytest.raises(InputError, match="has not begun"):
        periods.period_of("2027-01", NOW)


# what it says ---------------------------------------------------------------------------------------------------------


def test_a_month_without_a_fault_passes() -> None:
    said = report(whole())
    assert {name: verdict for name, (verdict, _reason) in checks(said).items() if verdict != "passed"} == {}
    assert said["verdict"] == "passed"
    assert (said["figures"]["backups"], said["figures"]["restores"]) == (720, 30)


def test_each_backup_and_verification_of_the_period_is_in_it_and_no_other() -> None:
    said = report(MONTH)
    assert len(said["backups"]) == 720 - len(months.OUTAGE) + 5
    assert len(said["verifications"]) == 29 + 4
    assert {one["utc"][:7] for one in (*said["backups"], *said["verifications"])} == {"2026-11"}


def test_what_failed_is_told_with_what_came_after_it() -> None:
    failures = {one["utc"][:10]: one for one in report(MONTH)["failures"]}
    full = failures["2026-11-06"]
    assert (full["kind"], full["verdict"], full["reason"]) == ("full", "failed", "completion: the repository is full")
    assert full["next_good"]["label"].endswith("F") and full["next_good"]["after_seconds"] == pytest.approx(
        86400, rel=0.01
    )
    incremental = failures["2026-11-21"]
    assert incremental["verdict"] == "unknown"
    assert incremental["next_good"]["after_seconds"] == pytest.approx(3600, rel=0.01)
    test = failures["2026-11-16"]
    assert (test["what"], test["reason"]) == ("verification", "rows: orders.items: 3 rows are not the same")
    assert test["next_good"]["after_seconds"] == 86400


def test_a_failure_that_nothing_good_followed_fails() -> None:
    lines = [*whole().catalogue[:700], months.backup(700, "incr", verdict="failed", why="full")]
    verdict, reason = checks(report(replace(whole(), catalogue=lines)))["backups"]
    assert verdict == "failed"
    assert reason == "1 of 701 did not pass; nothing good came after incr in repository 1 at 2026-11-30T04:00:12Z"


def test_an_incremental_backup_does_not_mend_a_full_one() -> None:
    lines = [months.backup(1, "full", verdict="failed"), months.backup(2, "incr")]
    assert report(replace(whole(), catalogue=lines))["failures"][0]["next_good"] is None


def test_a_backup_of_the_other_repository_mends_nothing() -> None:
    lines = [months.backup(1, "full", verdict="failed"), months.backup(2, "full", repo=2)]
    assert report(replace(whole(), catalogue=lines))["failures"][0]["next_good"] is None


def test_an_hour_without_a_backup_is_named() -> None:
    said = report(MONTH)
    hourly = [one for one in said["gaps"] if one["plan"] == "hourly"]
    assert hourly[1:] == [
        {
            "plan": "hourly",
            "repo": 1,
            "begin_utc": "2026-11-13T03:00:00Z",
            "end_utc": "2026-11-13T06:00:00Z",
            "slots": 3,
        },
        {
            "plan": "hourly",
            "repo": 1,
            "begin_utc": "2026-11-21T09:00:00Z",
            "end_utc": "2026-11-21T10:00:00Z",
            "slots": 1,
        },
    ]
    assert [one["begin_utc"] for one in said["gaps"] if one["plan"] == "daily full"] == ["2026-11-06T00:00:00Z"]
    assert checks(said)["schedule"][0] == "failed"


def test_a_week_without_a_full_backup_in_the_second_region_is_named() -> None:
    lines = [line for line in MONTH.catalogue if line["repo"] == 1 or line["utc"] < "2026-11-16"]
    weekly = [one for one in report(replace(MONTH, catalogue=lines))["gaps"] if one["plan"] == "weekly full"]
    assert [(one["begin_utc"], one["slots"]) for one in weekly] == [("2026-11-16T00:00:00Z", 2)]


def test_a_long_backup_covers_each_hour_that_it_ran_in() -> None:
    long = {**months.backup(10, "full"), "utc": "2026-11-01T13:59:00Z"}
    lines = [line for line in whole().catalogue if not "2026-11-01T10" <= line["began_utc"] < "2026-11-01T14"]
    assert report(replace(whole(), catalogue=[*lines, long]))["gaps"] == []


def test_before_the_first_backup_nothing_was_planned() -> None:
    late = [line for line in whole().catalogue if line["began_utc"] >= "2026-11-20T00:30"]
    assert report(replace(whole(), catalogue=late))["gaps"] == []


def test_a_month_without_a_restore_proves_nothing() -> None:
    quick = [months.verification(hour, "quick") for hour in range(720)]
    assert checks(report(replace(whole(), verifications=quick)))["restored_repository_1"] == (
        "unknown", "0 of 0 restores passed",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first_day", "wanted", "verdict"),
    [(-1, 30, "passed"), (10, 30, "unknown"), (10, 15, "passed"), (10, None, "unknown")],
)
def test_how_far_back_it_can_go_is_held_against_the_objective(
    first_day: float, wanted: float | None, verdict: str
) -> None:
    objectives = {"rto_seconds": 300, **({} if wanted is None else {"retention_days": wanted})}
    known = replace(
        whole(),
        catalogue=[line for line in whole().catalogue if line["utc"] > "2026-11-11"]
        if first_day == 10
        else whole().catalogue,
    )
    said = report(known, windows=months.windows(first_day), objectives=objectives)
    assert checks(said)["retention_repository_1"][0] == verdict


def test_a_window_that_is_shorter_than_it_could_be_fails() -> None:
    assert checks(report(whole(), windows=months.windows(10), now=NOW + 86400))["retention_repository_1"] == (
        "failed", "21.1 days can be restored, of at least 30",
    )  # fmt: skip


def test_repositories_that_nobody_could_ask_and_empty_ones() -> None:
    assert checks(report(whole(), windows=None))["retention_repository_1"][0] == "unknown"
    assert checks(report(whole(), windows=[]))["retention_repository_1"][0] == "failed"


def test_nothing_at_all_is_unknown() -> None:
    said = report(Known(), windows=None)
    assert {verdict for verdict, _reason in checks(said).values()} == {"unknown"}
    assert (said["backups"], said["failures"], said["gaps"], said["trend"]) == ([], [], [], [])


def test_where_everything_failed_every_failure_is_there_and_none_is_mended() -> None:
    said = report(months.all_failed(), windows=[])
    assert said["verdict"] == "failed"
    assert len(said["failures"]) == 720 + 30
    assert {one["next_good"] for one in said["failures"]} == {None}
    assert sum(one["slots"] for one in said["gaps"] if one["plan"] == "hourly") == 720
    assert said["trend"] == []


def test_the_trend_has_a_day_a_line() -> None:
    days = report(MONTH)["trend"]
    assert len(days) == 30
    assert days[0]["size"] < days[29]["size"]
    assert days[5]["full_seconds"] is None and days[6]["full_seconds"] > 10 * days[6]["incremental_seconds"]


def test_forecasts_stand_beside_what_was_measured() -> None:
    rto = report(MONTH)["rto"]
    assert (len(rto["measured"]), rto["objective_seconds"]) == (32, 300)
    assert all(one["low"] < one["seconds"] < one["high"] for one in rto["forecast"])
    assert len(rto["forecast"]) > 25


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    lines = [months.backup(10, "incr", verdict="failed"), months.backup(9, "incr")]
    said = report(replace(whole(), catalogue=lines))
    assert said["failures"][0]["next_good"]["after_seconds"] is None
    assert "clock_set_back" in [one["code"] for one in said["forecast"]["warnings"]]


@pytest.mark.parametrize("known", [MONTH, Known(), months.all_failed(3), whole(2)])
def test_a_report_is_what_its_schema_says(known: Known) -> None:
    for windows in (None, [], months.windows()):
        said = {"cluster": "orders", "stanza": "orders", **report(known, windows=windows)}
        assert schema.violations(json.loads(json.dumps(said, allow_nan=False)), SCHEMA) == []


ANYTHING = st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.lists(st.none() | st.text(), max_size=2)


@given(st.data())
def test_no_field_of_any_kind_breaks_it(data: st.DataObject) -> None:
    known = copy.deepcopy(replace(whole(2), catalogue=whole(2).catalogue[:9]))
    for line in (*known.catalogue, *known.verifications):
        t.cast("dict[str, t.Any]", line)[data.draw(st.sampled_from(sorted(line)))] = data.draw(ANYTHING)
    said = {"cluster": "orders", "stanza": "orders", **report(known)}
    assert schema.violations(json.loads(json.dumps(said, allow_nan=False)), SCHEMA) == []

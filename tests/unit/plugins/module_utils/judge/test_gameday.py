# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drilled when: what never passed first, then what did longest ago, and round again."""

from __future__ import annotations

import datetime
import re
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import gameday
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.gameday import Drilled, GameDay, Scenario

#: A Friday.
TODAY = datetime.date(2026, 11, 27)
DAY = 86400.0
NOW = datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.timezone.utc).timestamp()
CRASH, LOSS, PAUSED, LEAK = (
    Scenario("crash", "The primary has ended", "sev1"), Scenario("loss", "Somebody has destroyed data", "sev1"),
    Scenario("paused", "A standby | does not replay", "sev3"), Scenario("leak", "A key is known", "sev2"),
)  # fmt: skip
ALL = (PAUSED, LOSS, LEAK, CRASH)


def drilled(scenario: Scenario, days_ago: float, verdict: str = "passed", operation: str = "drill") -> Drilled:
    return Drilled(scenario.id, operation, NOW - days_ago * DAY, verdict)


def planned(
    past: t.Sequence[Drilled] = (),
    *,
    scenarios: t.Sequence[Scenario] = ALL,
    people: t.Sequence[str] = (),
    weeks: int = 4,
    per_week: int = 1,
    start: str | None = None,
) -> list[GameDay]:
    when = gameday.rhythm(start, weeks, per_week, "tuesday", TODAY)
    return gameday.plan(scenarios, past, when, people, lambda name: f"drill {name}")


def names(days: t.Sequence[GameDay]) -> list[str]:
    return [day.scenario for day in days]


def test_where_nothing_was_drilled_the_more_severe_comes_first() -> None:
    days = planned()
    assert names(days) == ["crash", "loss", "leak", "paused"]
    assert [day.date for day in days] == ["2026-12-01", "2026-12-08", "2026-12-15", "2026-12-22"]
    assert {(day.drilled, day.verdict, day.leads) for day in days} == {("", "", "")}
    assert days[0].command == "drill crash"
    assert days[0].cells == ("2026-12-01", "crash", "sev1", "never", "–", "–", "The primary has ended")


def test_what_was_drilled_longest_ago_comes_first_and_what_never_was_before_it() -> None:
    past = [drilled(CRASH, 3), drilled(LOSS, 90), drilled(PAUSED, 400, operation="training"), drilled(PAUSED, 200)]
    days = planned(past)
    assert names(days) == ["leak", "paused", "loss", "crash"]
    assert (days[1].drilled, days[1].verdict) == ("2026-05-11", "passed (drill)")


def test_all_drilled_at_once_are_taken_by_severity() -> None:
    assert names(planned([drilled(one, 0) for one in ALL])) == ["crash", "loss", "leak", "paused"]


@pytest.mark.parametrize("verdict", ["failed", "unknown"])
def test_a_drill_that_did_not_pass_counts_as_none_and_is_told(verdict: str) -> None:
    past = [drilled(CRASH, 100), drilled(LOSS, 90), drilled(LEAK, 50), drilled(PAUSED, 1, verdict, "training")]
    days = planned(past)
    assert names(days) == ["paused", "crash", "loss", "leak"]
    assert days[0].verdict == f"{verdict} (training)"


def test_a_failure_after_a_success_does_not_undo_the_success() -> None:
    past = [drilled(one, 10) for one in (LOSS, LEAK, PAUSED)] + [drilled(CRASH, 30), drilled(CRASH, 1, "failed")]
    days = planned(past)
    assert names(days)[0] == "crash"
    assert days[0].verdict == "failed (drill)"


def test_with_more_weeks_than_scenarios_they_begin_again_and_so_do_the_people() -> None:
    days = planned(weeks=6, people=["anna", "ben", "carl", "dora"])
    assert names(days) == ["crash", "loss", "leak", "paused", "crash", "loss"]
    assert [day.leads for day in days] == ["anna", "ben", "carl", "dora", "anna", "ben"]


def test_several_a_week_share_a_date_and_differ() -> None:
    days = planned(weeks=3, per_week=3)
    assert [day.date for day in days] == ["2026-12-01"] * 3 + ["2026-12-08"] * 3 + ["2026-12-15"] * 3
    assert all(len(set(names(days[at : at + 3]))) == 3 for at in (0, 3, 6))


@pytest.mark.parametrize(
    ("start", "weekday", "first"),
    [
        ("2027-01-05", "tuesday", "2027-01-05"),
        ("2027-01-06", "tuesday", "2027-01-12"),
        ("2027-01-06", "Friday", "2027-01-08"),
        (None, "friday", "2026-12-04"),
    ],
)
def test_the_first_day_is_on_or_after_the_start(start: str | None, weekday: str, first: str) -> None:
    assert gameday.rhythm(start, 1, 1, weekday, TODAY).dates[0].isoformat() == first


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weekday": "sunday"}, r"no working day.*resilience_gameday_weekday=sunday.*monday, tuesday"),
        ({"weeks": 0}, "resilience_gameday_weeks=0.*1 to 53"),
        ({"weeks": 54}, "resilience_gameday_weeks=54.*1 to 53"),
        ({"per_week": 0}, "resilience_gameday_per_week=0.*1 or more"),
        ({"start": "4.1.2027"}, "this is no day.*resilience_gameday_start=4.1.2027.*2027-01-04"),
    ],
)
def test_what_cannot_be_planned_is_refused(given: dict[str, t.Any], said: str) -> None:
    usual = {"start": None, "weeks": 13, "per_week": 1, "weekday": "tuesday", "today": TODAY}
    with pytest.raises(InputError) as caught:
        gameday.rhythm(**{**usual, **given})
    assert_said(caught.value, said)


@pytest.mark.parametrize(("scenarios", "per_week"), [(ALL, 5), ([], 1)])
def test_a_day_cannot_have_more_scenarios_than_there_are(scenarios: list[Scenario], per_week: int) -> None:
    with pytest.raises(InputError) as caught:
        planned(scenarios=scenarios, per_week=per_week)
    assert_said(caught.value, f"resilience_gameday_per_week={per_week}.*at most {len(scenarios)}")


def assert_said(error: InputError, pattern: str) -> None:
    text = error.as_result()["msg"]
    assert text.endswith("Nothing was changed.")
    assert re.search(pattern, text), text


def test_a_report_says_what_was_drilled_or_nothing() -> None:
    whole = {"operation": "drill", "scenario": "loss", "verdict": "passed", "ended_utc": "2026-11-20T10:00:00Z"}
    reports = [
        whole, {**whole, "operation": "training", "verdict": None}, {**whole, "operation": "restore"},
        {**whole, "scenario": None}, {**whole, "ended_utc": "then"}, {},
    ]  # fmt: skip
    found = gameday.drilled(reports)
    assert [(one.scenario, one.operation, one.verdict) for one in found] == [
        ("loss", "drill", "passed"),
        ("loss", "training", "unknown"),
    ]


def test_the_page_has_a_row_for_each_day_and_a_command_for_each_scenario() -> None:
    page = gameday.markdown("orders", planned(weeks=5), {"certificate": "its folder has no inject.yml"})
    assert "| 2026-12-22 | paused | sev3 | never | – | – | A standby \\| does not replay |" in page
    assert page.count("- crash: `drill crash`") == 1
    assert "- certificate: its folder has no inject.yml" in page
    assert gameday.markdown("orders", planned(), {}).endswith("`\n")

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drilled when, and by whom: first what never passed a drill, then what did longest ago. Pure."""

from __future__ import annotations

import datetime
import itertools
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict

#: Operations that put a scenario to the test.
OPERATIONS = ("drill", "training")
#: A drill needs people who can help if it goes wrong.
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
#: Weeks of a plan at most: what is further away is drilled by what is known then.
MOST_WEEKS = 53
HEADINGS = ("date", "scenario", "severity", "last drilled", "verdict", "leads", "what happens")


@dataclass(frozen=True)
class Scenario:
    id: str
    title: str
    severity: str


@dataclass(frozen=True)
class Drilled:
    """A drill or a training that came to an end; ``at`` in seconds since 1970."""

    scenario: str
    operation: str
    at: float
    verdict: str


@dataclass(frozen=True)
class GameDay:
    """``drilled`` and ``verdict``: of the last drill or training, whatever came of it; empty where there was none."""

    date: str
    scenario: str
    title: str
    severity: str
    drilled: str
    verdict: str
    leads: str
    command: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @property
    def cells(self) -> tuple[str, ...]:
        before = self.drilled or "never", self.verdict or "–"
        return self.date, self.scenario, self.severity, *before, self.leads or "–", self.title


@dataclass(frozen=True)
class Rhythm:
    """When there are game days: ``per_week`` scenarios on each of their dates."""

    dates: tuple[datetime.date, ...]
    per_week: int


def rhythm(start: str | None, weeks: int, per_week: int, weekday: str, today: datetime.date) -> Rhythm:
    """The dates, the first of them on ``start`` or soon after it, which is the day after ``today`` where nobody says.

    :raises InputError: there is no such day, or no such number.
    """
    if weekday.lower() not in WEEKDAYS:
        raise InputError(
            "this is no working day",
            given=f"resilience_gameday_weekday={weekday}",
            possible=", ".join(WEEKDAYS),
        )
    for name, given, most in (("weeks", weeks, MOST_WEEKS), ("per_week", per_week, None)):
        if given < 1 or (most is not None and given > most):
            raise InputError(
                "this is no number that a plan can be made for",
                given=f"resilience_gameday_{name}={given}",
                possible=f"1 to {most}" if most is not None else "1 or more",
            )
    begin = _day(start) if start else today + datetime.timedelta(days=1)
    first = begin + datetime.timedelta(days=(WEEKDAYS.index(weekday.lower()) - begin.weekday()) % 7)
    return Rhythm(tuple(first + datetime.timedelta(weeks=week) for week in range(weeks)), per_week)


def _day(given: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(given)
    except ValueError as error:
        raise InputError(
            "this is no day", given=f"resilience_gameday_start={given}", possible="a day as 2027-01-04"
        ) from error


def drilled(reports: Iterable[Mapping[str, t.Any]]) -> list[Drilled]:
    """What sealed reports say of drills and trainings; those without a scenario or an end say nothing."""
    found = []
    for report in reports:
        operation, scenario = records.text(report, "operation"), records.text(report, "scenario")
        at = records.moment(report, "ended_utc")
        if operation in OPERATIONS and scenario is not None and at is not None:
            verdict = records.text(report, "verdict") or Verdict.UNKNOWN.value
            found.append(Drilled(scenario, operation, at, verdict))
    return found


def in_order(scenarios: Iterable[Scenario], past: Iterable[Drilled]) -> list[Scenario]:
    """Those that never passed first, then by how long ago they last did; the more severe first where that is alike."""
    passed: dict[str, float] = {}
    for one in past:
        if one.verdict == Verdict.PASSED.value:
            passed[one.scenario] = max(one.at, passed.get(one.scenario, one.at))
    return sorted(scenarios, key=lambda one: (passed.get(one.id, float("-inf")), one.severity, one.id))


def plan(
    scenarios: Sequence[Scenario],
    past: Sequence[Drilled],
    when: Rhythm,
    people: Sequence[str],
    command: t.Callable[[str], str],
) -> list[GameDay]:
    """Each date with its scenarios. Where there are more dates than scenarios, they begin again; so do the people.

    :param command: what drills a scenario.
    :raises InputError: there are fewer scenarios than one day is to have.
    """
    if len(scenarios) < when.per_week:
        raise InputError(
            f"there are {len(scenarios)} scenarios that can be drilled",
            given=f"resilience_gameday_per_week={when.per_week}",
            possible=f"at most {len(scenarios)}",
        )
    last = {one.scenario: one for one in sorted(past, key=lambda one: one.at)}
    rota = itertools.cycle(in_order(scenarios, past))
    leaders = itertools.cycle(people or [""])
    return [
        _game_day(date, next(rota), last, next(leaders), command)
        for date in when.dates
        for _time in range(when.per_week)
    ]


def _game_day(
    date: datetime.date, one: Scenario, last: Mapping[str, Drilled], leads: str, command: t.Callable[[str], str]
) -> GameDay:
    before = last.get(one.id)
    return GameDay(
        date=date.isoformat(),
        scenario=one.id,
        title=one.title,
        severity=one.severity,
        drilled=records.utc(before.at)[:10] if before else "",
        verdict=f"{before.verdict} ({before.operation})" if before else "",
        leads=leads,
        command=command(one.id),
    )


def markdown(cluster: str, days: Sequence[GameDay], left_out: Mapping[str, str]) -> str:
    """The plan as a page. It says nothing of when it was made, so that the same plan is the same page.

    :param left_out: scenarios that cannot be drilled, and why.
    """
    rows = [[_cell(cell) for cell in day.cells] for day in days]
    lines = [
        f"# Game days of {cluster}\n",
        "First what never passed a drill or a training, then what did longest ago; where that is alike, by severity.\n",
        *(_row(cells) for cells in (HEADINGS, ["---"] * len(HEADINGS), *rows)),
        "\n## Commands\n",
        *(f"- {name}: `{said}`" for name, said in {day.scenario: day.command for day in days}.items()),
    ]
    if left_out:
        lines += ["\n## Not planned\n", *(f"- {name}: {why}" for name, why in sorted(left_out.items()))]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

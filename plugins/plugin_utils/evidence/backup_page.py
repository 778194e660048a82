# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a month of backups: one file, no scripts, nothing from elsewhere. Control node only."""

from __future__ import annotations

import itertools
import math
import typing as t
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import picture, trend_picture
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.trend_picture import Chart
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import DAY, moment
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import html

HOUR = 3600
Report = t.Mapping[str, t.Any]
ORDER = ("failed", "unknown", "passed")


def page(report: Report) -> bytes:
    """The whole page.

    :param report: a backup report, with the ``cluster`` that it is about.
    """
    environment = html.environment()
    return (
        environment.get_template("backup_report.html.j2")
        .render(
            report=report,
            figures=figures(report),
            checks=sorted(report["checks"], key=lambda check: ORDER.index(check["verdict"])),
            pictures=pictures(report),
            failures=runs(report["failures"]),
        )
        .encode("utf-8")
    )


def runs(failures: t.Sequence[Report]) -> list[dict[str, t.Any]]:
    """Failures in a row that are alike but for their time, as one: the first, how many, and when the last one ended."""
    alike = ("what", "kind", "repo", "verdict", "reason")
    found = []
    for _key, group in itertools.groupby(failures, key=lambda one: [*(one[name] for name in alike), _label(one)]):
        rows = list(group)
        found.append({**rows[0], "count": len(rows), "last_utc": rows[-1]["utc"]})
    return found


def _label(one: Report) -> str | None:
    """The backup that came after a failure; what came after a failed verification is always another one."""
    return None if one["next_good"] is None else str(one["next_good"]["utc"])


def figures(report: Report) -> list[dict[str, str | None]]:
    """The figures at the top, each held against what was aimed at."""
    counted, told = report["figures"], report["forecast"]
    newest = next(one for one in told["recoveries"] if one["kind"] == "restore_newest")
    rto = report["rto"]["objective_seconds"]
    days = [one["days"] for one in report["retention"] if one["days"] is not None]
    wanted = next((one["wanted_days"] for one in report["retention"]), None)
    off, growth = told["errors"], told["growth_bytes_per_day"]
    tested = f"median of {off['n']} tests, {off['within_interval']} within their interval"
    return [
        html.figure("backups", _count(counted["backups"]), *_failed(counted, "backups")),
        html.figure("verifications", _count(counted["verifications"]), *_failed(counted, "verifications")),
        html.figure("hours, days, weeks without", _count(counted["slots_missed"]), *_missed(counted)),
        html.figure("restores proven", _count(counted["restores"]), None, None),
        html.figure(
            "a restore would take",
            "–" if newest["seconds"] is None else picture.seconds(newest["seconds"]),
            None if rto is None else f"objective ≤ {html.duration(rto)}",
            _reached(newest, rto),
        ),
        html.figure("forecasts were off by", "–" if not off["n"] else f"{off['median_percent']:g} %", tested if off["n"] else None, None),
        html.figure("can go back", "–" if not days else f"{min(days):.1f} d", *_kept(report, wanted)),
        html.figure(
            "database",
            "–" if counted["size_last"] is None else html.size(int(counted["size_last"])),
            None if growth is None else f"{'+' if growth >= 0 else '−'}{html.size(int(abs(growth)))} a day",
            None,
        ),
    ]  # fmt: skip


def _count(value: int) -> str:
    return str(value) if value else "none"


def _failed(counted: Report, what: str) -> tuple[str | None, str | None]:
    if not counted[what]:
        return None, None
    failed, unknown = counted[f"{what}_failed"], counted[f"{what}_unknown"]
    if not failed and not unknown:
        return "all passed", "passed"
    said = " and ".join(f"{number} {word}" for number, word in ((failed, "failed"), (unknown, "unknown")) if number)
    return said, "failed" if failed else "unknown"


def _missed(counted: Report) -> tuple[str | None, str | None]:
    if not counted["backups"] and not counted["slots_missed"]:
        return None, None
    return "of the schedule", "failed" if counted["slots_missed"] else "passed"


def _kept(report: Report, wanted: float | None) -> tuple[str | None, str | None]:
    verdicts = {one["verdict"] for one in report["retention"]}
    reached = next((word for word in ORDER if word in verdicts), None)
    return (None, None) if wanted is None else (f"objective ≥ {wanted:g} d", reached)


def _reached(newest: Report, rto: float | None) -> str | None:
    if rto is None:
        return None
    if newest["seconds"] is None:
        return "unknown"
    return "failed" if newest["seconds"] > rto else "passed" if newest["high"] <= rto else "unknown"


# pictures -------------------------------------------------------------------------------------------------------------


def pictures(report: Report) -> list[dict[str, t.Any]]:
    """Each that has something to show, wide and narrow."""
    begin, end = (t.cast(float, moment(report["period"], name)) for name in ("begin_utc", "end_utc"))
    found = []
    if report["backups"] or report["gaps"]:
        days = hours(report, begin, end)
        caption = "Every hour (UTC) and its backup in repository 1"
        kinds = (("accent", "full"), ("ack", "incremental"), ("unsafe", "unknown"), ("bad", "failed; a frame: none"))
        found.append(html.drawn(caption, kinds, lambda width: trend_picture.calendar(days, width, caption)))
    for caption, legend, chart, said in charts(report, begin, end):
        if not chart.empty:
            found.append(html.drawn(caption, legend, _draw(chart, caption, said)))
    return found


def _draw(chart: Chart, caption: str, said: t.Callable[[float], str]) -> t.Callable[[int], str]:
    return lambda width: trend_picture.chart(chart, width, caption, said)


def charts(
    report: Report, begin: float, end: float
) -> t.Iterator[tuple[str, t.Sequence[tuple[str, str]], Chart, t.Callable[[float], str]]]:
    rto, days = report["rto"], report["trend"]
    sizes = _daily(days, "size")
    most = max((size for _at, size in sizes), default=1)
    said = [(at, one) for one in rto["forecast"] if (at := moment(one, "utc")) is not None]
    measured = [
        (at, one["seconds"]) for one in rto["measured"] if one["repo"] == 1 and (at := moment(one, "utc")) is not None
    ]
    yield (
        "Restore to the newest from repository 1: forecast, measured, and the objective",
        (("accent", "forecast, and its interval"), ("ack", "measured by a verification")),
        Chart(
            begin, end, {"first": [(at, one["seconds"]) for at, one in said]}, {"measured": measured},
            [(at, one["low"], one["high"]) for at, one in said], rto["objective_seconds"],
        ),
        html.duration,
    )  # fmt: skip
    yield (
        "Size of the database",
        (),
        Chart(begin, end, {"first": sizes}, {}, unit=1024 ** math.floor(math.log(max(most, 1), 1024))),
        lambda value: html.size(int(value)),
    )
    yield (
        "How long backups in repository 1 took, the median of each day",
        (("accent", "full"), ("open", "incremental and differential")),
        Chart(begin, end, {"first": _daily(days, "full_seconds"), "second": _daily(days, "incremental_seconds")}, {}),
        html.duration,
    )


def _daily(days: t.Sequence[Report], name: str) -> list[tuple[float, float]]:
    """A value of each day, placed at its noon."""
    return [
        (datetime.fromisoformat(one["day"]).replace(tzinfo=timezone.utc).timestamp() + DAY / 2, one[name])
        for one in days
        if one[name] is not None
    ]


def hours(report: Report, begin: float, end: float) -> list[tuple[str, list[str]]]:
    """Each day of the period, and what stands for each of its hours."""
    found: dict[int, str] = {}
    for gap in report["gaps"]:
        if gap["plan"] == "hourly":
            first, last = (t.cast(float, moment(gap, name)) for name in ("begin_utc", "end_utc"))
            found |= dict.fromkeys(range(int(first // HOUR), int(last // HOUR)), "missed")
    for one in report["backups"]:
        at = moment(one, "began_utc") or moment(one, "utc")
        if one["repo"] == 1 and at is not None:
            found[int(at // HOUR)] = _hour(found.get(int(at // HOUR)), one)
    days = range(int(begin // DAY), int((end - 1) // DAY) + 1)
    return [
        (
            datetime.fromtimestamp(day * DAY, timezone.utc).strftime("%m-%d"),
            [found.get(day * 24 + hour, "outside") for hour in range(24)],
        )
        for day in days
    ]


def _hour(before: str | None, one: Report) -> str:
    """A failed backup is shown, whatever else the hour held; else a full one."""
    kind = "full" if one["verdict"] == "passed" and one["type"] == "full" else str(one["verdict"])
    for word in ("failed", "unknown", "full"):
        if word in (before, kind):
            return word
    return kind

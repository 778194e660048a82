# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a service's availability: one file, no scripts, nothing from elsewhere. Control node only."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import picture, trend_picture
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.availability import SILENCE
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import DAY, moment
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import html

HOUR = 3600
Report = t.Mapping[str, t.Any]
#: What an hour with several of them is shown as, and the style sheet's class for it.
CELLS = ("failed", "full", "unknown", "passed", "outside")
LEGEND = (("ack", "up"), ("bad", "down"), ("accent", "down in a drill"), ("unsafe", "unknown"))


def page(report: Report) -> bytes:
    """The whole page.

    :param report: an availability report, with the ``cluster`` that it is about.
    """
    template = html.environment().get_template("availability_report.html.j2")
    caption = "Every hour (UTC)"
    days = hours(report)
    drawn = html.drawn(caption, LEGEND, lambda width: trend_picture.calendar(days, width, caption))
    return template.render(report=report, figures=figures(report), pictures=[drawn]).encode("utf-8")


def figures(report: Report) -> list[dict[str, str | None]]:
    """The figures at the top, each held against what was aimed at."""
    budget, percent, aim = report["budget"], report["availability_percent"], report["objective_percent"]
    reached = "unknown" if percent is None else "failed" if percent < aim else "passed"
    felt = [seconds for one in report["outages"] if (seconds := one["seconds"] - one["drill_seconds"]) > 0]
    longest = max(felt, default=None)
    return [
        html.figure("available", "–" if percent is None else f"{percent:.4f} %", f"objective ≥ {aim:g} %", reached),
        html.figure(
            "budget used",
            picture.seconds(budget["used_seconds"]),
            f"of {html.span(budget['allowed_seconds'])}",
            report["verdict"],
        ),
        html.figure("outages", str(len(felt))),
        html.figure("longest", "–" if longest is None else picture.seconds(longest)),
        html.figure("in drills, apart", picture.seconds(budget["drill_seconds"])),
        html.figure(
            "nobody saw",
            html.span(budget["unknown_seconds"]),
            f"of {html.span(budget['period_seconds'])}",
            "unknown" if budget["unknown_seconds"] > SILENCE else "passed",
        ),
    ]


def hours(report: Report) -> list[tuple[str, list[str]]]:
    """Each day of the period, and what stands for each of its hours: the worst that was in it."""
    begin, end = (t.cast(float, moment(report["period"], name)) for name in ("begin_utc", "end_utc"))
    found: dict[int, set[str]] = {hour: {"passed"} for hour in range(int(begin // HOUR), int((end - 1) // HOUR) + 1)}
    shown = [("full" if one["drill_seconds"] == one["seconds"] else "failed", one) for one in report["outages"]]
    # A recorder that was restarted leaves a moment, which an hour is not to be marked for.
    shown += [("unknown", one) for one in report["unknown"] if one["seconds"] > SILENCE]
    for kind, one in shown:
        first, last = (t.cast(float, moment(one, name)) for name in ("begin_utc", "end_utc"))
        for hour in range(int(first // HOUR), int(last // HOUR) + 1):
            found.setdefault(hour, set()).add(kind)
    days = range(int(begin // DAY), int((end - 1) // DAY) + 1)
    return [
        (
            datetime.fromtimestamp(day * DAY, timezone.utc).strftime("%m-%d"),
            [_worst(found.get(day * 24 + hour, {"outside"})) for hour in range(24)],
        )
        for day in days
    ]


def _worst(kinds: set[str]) -> str:
    return next(kind for kind in CELLS if kind in kinds)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A status as lines of text that fit on one screen."""

from __future__ import annotations

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import picture
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence.summary import aligned

ANSWER = {
    "passed": "can be recovered, and it was proven",
    "failed": "cannot be recovered as it has to be",
    "unknown": "it is not known whether it can be recovered",
}
#: By whoever promotes when the primary is lost; None where nobody could look.
ENGINE = {
    "manual": "somebody, with the playbook failover",
    "patroni": "Patroni, by itself",
    None: "not known",
}


def screen(status: t.Mapping[str, t.Any]) -> list[str]:
    """The answer first, then what it rests on, last what is not passed."""
    wrong = [f"{one['verdict']:>7}  {one['name']}: {one['reason']}" for one in status["checks"] if one["verdict"] != "passed"]
    return [
        f"{status['cluster']}: {ANSWER[status['verdict']]} ({status['verdict']}, {status['utc']})",
        f"Who fails over: {ENGINE[status['engine']]}",
        "",
        *aligned([["member", "region", "is", "timeline", "behind", "replayed until"], *map(_member, status["members"])]),
        "",
        *aligned([["recovery window", "timeline", "from", "to", "backups"], *map(_window, status["windows"])]),
        "",
        *aligned([["disaster", "takes", "at most", "loses", "drills", "last", "verdict"], *map(_disaster, status["disasters"])]),
        "",
        *aligned([["last verified", "level", "backup", "days ago", "verdict"], *map(_verification, status["verifications"])]),
        "",
        *aligned([["next recovery", "takes", "between", "measured", "learned from", "why unknown"], *map(_forecast, status["forecasts"])]),
        *_errors(status["forecast_errors"]),
        *(["", *wrong] if wrong else []),
        *(f"warning  {one['code']}: {one['detail']}" for one in status["warnings"]),
    ]


def _member(one: t.Mapping[str, t.Any]) -> list[str]:
    age = one["replay_age_seconds"]
    return [
        one["name"],
        one["region"] or "–",
        one["standing"],
        _text(one["timeline"]),
        "–" if one["lag_bytes"] is None else f"{one['lag_bytes']} B",
        "–" if age is None else f"{picture.seconds(age)} ago",
    ]


def _window(one: t.Mapping[str, t.Any]) -> list[str]:
    to = f"{one['to_time']}{', then a gap' if one['ends_in_gap'] else ''}"
    return [f"repository {one['repo']}", str(one["timeline"]), str(one["from_time"]), to, str(len(one["backups"]))]


def _disaster(one: t.Mapping[str, t.Any]) -> list[str]:
    return [
        one["scenario"],
        *("–" if one[key] is None else picture.seconds(one[key]) for key in ("expected_seconds", "longest_seconds")),
        "–" if one["expected_lost"] is None else f"{one['expected_lost']} rows",
        str(one["drills"]),
        _text(one["measured_utc"]),
        one["verdict"],
    ]


def _verification(one: t.Mapping[str, t.Any]) -> list[str]:
    age = one["age_days"]
    shown = "–" if age is None else f"{age:.1f}"
    return [f"repository {one['repo']}", one["level"], _text(one["label"]), shown, one["verdict"]]


def _forecast(one: t.Mapping[str, t.Any]) -> list[str]:
    known = one["seconds"] is not None
    return [
        one["kind"],
        picture.seconds(one["seconds"]) if known else "unknown",
        f"{picture.seconds(one['low'])} and {picture.seconds(one['high'])}" if known else "–",
        "–" if one["measured_seconds"] is None else picture.seconds(one["measured_seconds"]),
        str(one["basis"]),
        one["reason"],
    ]


def _errors(past: t.Mapping[str, t.Any]) -> list[str]:
    if not past.get("n"):
        return []
    said = f"{past['median_percent']:g} % off in the median, {past['max_percent']:g} % at most"
    return [f"{past['n']} forecasts were tested: {said}, {past['within_interval']} within their interval"]


def _text(value: t.Any) -> str:
    return "–" if value is None else str(value)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of role monitoring, and promtool's tests of them out of ``alerts.yml``, which says how it is written."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import yaml

TOP = Path(__file__).parents[4]
RULES = TOP / "roles" / "monitoring" / "files" / "alerts.yml"
CASES: dict[str, t.Any] = yaml.safe_load((Path(__file__).parent / "alerts.yml").read_text(encoding="utf-8"))
ALL = [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
#: Each alert by its name, as the rules have it, and what is recorded for them.
ALERTS: dict[str, dict[str, t.Any]] = {rule["alert"]: rule for rule in ALL if "alert" in rule}
RECORDED: list[dict[str, t.Any]] = [rule for rule in ALL if "record" in rule]
#: The four that each alert has.
KINDS = ("fires", "silent", "clears", "missing")
#: Always fires, and is tested for just that.
ALWAYS = "Watchdog"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: Time in which whoever looks after missing data has to say so.
NOTICED = "20m"


def seconds(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


class Line:
    """One series: segments of samples, each told as in ``alerts.yml``."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._count = 0
        self._last = 0.0
        self.values: list[str] = []

    def add(self, told: t.Any, count: int) -> None:
        """``count`` samples more."""
        if count == 0:
            return
        start, grows = self._said(told)
        if start is None:
            self.values.append(f"_x{count - 1}" if count > 1 else "_")
        else:
            sign = "-" if grows < 0 else "+"
            self.values.append(f"{start:g}{sign}{abs(grows):g}x{count - 1}")
            self._last = start + grows * (count - 1)
        self._count += count

    def _said(self, told: t.Any) -> tuple[float | None, float]:
        """The first sample, and what each next one has more."""
        if told == "_":
            return None, 0
        if isinstance(told, list):
            return told[0], told[1]
        if isinstance(told, str) and told.startswith("now"):
            return self._count * self._step + int(told[3:] or 0), self._step
        if isinstance(told, str) and told.startswith("+"):
            return self._last + float(told), float(told)
        return float(told), 0


def series(*segments: tuple[t.Mapping[str, t.Any], int], step: int) -> list[dict[str, str]]:
    """promtool's ``input_series``: the segments one after the other, each so many samples long."""
    lines: dict[str, Line] = {name: Line(step) for told, _count in segments for name in told}
    for told, count in segments:
        for name, line in lines.items():
            line.add(told.get(name, "_"), count)
    return [{"series": labelled(name), "values": " ".join(line.values)} for name, line in lines.items()]


def labelled(name: str) -> str:
    short = CASES["labels"]
    return re.sub(rf"(?<=[{{,])({'|'.join(short)})(?=[,}}])", lambda found: short[found[1]], name)


def rules_of(name: str) -> dict[str, t.Any]:
    """A file of rules: the alert, who notices that its data are missing, and what these two read. All take minutes."""
    wanted = [ALERTS[one] for one in {name: None, unseen_of(name)["alert"]: None}]
    read = RECORDED if any("resilience:transaction" in rule["expr"] for rule in wanted) else []
    return {"groups": [{"name": "recorded", "rules": read}, {"name": "alerts", "rules": wanted}]}


def unseen_of(name: str) -> dict[str, t.Any]:
    missing = CASES["alerts"].get(name, {}).get("missing")
    found: dict[str, t.Any] = CASES["unseen"].get(missing, {"alert": name, "series": {}})
    return found


def cases_of(name: str) -> dict[str, t.Any]:
    """A file of promtool's, with the four tests of one alert; its rules lie beside it, in ``rules.yml``."""
    case = {"interval": "15s", "at": "5m", "before": {}, "before_for": "0s", **CASES["alerts"][name]}
    step, at, before = seconds(case["interval"]), seconds(case["at"]), seconds(case["before_for"])
    clear = seconds(case.get("clear", case["at"]))
    unseen = unseen_of(name)
    wait = max(at, seconds(NOTICED))
    limits = {key: value for key, value in CASES["objectives"].items() if key not in case["bad"]}
    lead = (case["before"], before // step)
    bad, good = (case["bad"], at // step + 1), (case["good"], at // step + 1)

    def one(kind: str, end: int, *segments: tuple[t.Mapping[str, t.Any], int]) -> dict[str, t.Any]:
        fires = [{"exp_labels": expected_labels(name), "exp_annotations": expected_annotations(name)}]
        lines = series(*segments, step=step)
        told = {} if kind == "missing" and unseen["alert"] == "ObjectivesMissing" else limits
        lines += series((told, end // step + 1), step=step)
        return {
            "name": f"{name} {kind}",
            "interval": case["interval"],
            "input_series": lines,
            "alert_rule_test": [
                {"alertname": name, "eval_time": f"{end}s", "exp_alerts": fires if kind == "fires" else []}
            ],
        }

    missing = one("missing", wait, (unseen["series"], wait // step + 1))
    noticed = f'count(ALERTS{{alertname="{unseen["alert"]}", alertstate="firing"}}) > bool 0'
    missing["promql_expr_test"] = [
        {"expr": noticed, "eval_time": f"{wait}s", "exp_samples": [{"labels": "{}", "value": 1}]}
    ]
    if unseen["alert"] == name:
        del missing["alert_rule_test"]
    return {
        "rule_files": ["rules.yml"],
        "evaluation_interval": case["interval"],
        "tests": [
            one("fires", before + at, lead, bad),
            one("silent", before + at, ({**case["good"], **case["before"]}, before // step), good),
            one("clears", before + at + clear, lead, bad, (case["good"], clear // step)),
            missing,
        ],
    }


def always() -> dict[str, t.Any]:
    """The one test of what always fires."""
    alert = {"exp_labels": dict(ALERTS[ALWAYS]["labels"]), "exp_annotations": expected_annotations(ALWAYS)}
    return {
        "rule_files": ["rules.yml"],
        "tests": [{"alert_rule_test": [{"alertname": ALWAYS, "eval_time": "1m", "exp_alerts": [alert]}]}],
    }


def expected_labels(name: str) -> dict[str, str]:
    return {**ALERTS[name]["labels"], **CASES["alerts"][name].get("labels", {})}


def expected_annotations(name: str) -> dict[str, str]:
    said = CASES["alerts"].get(name, {}).get("says")
    return {**ALERTS[name]["annotations"], **({"summary": said} if said else {})}

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What observers recorded, with the evidence that lies on this host, as a page and as JSON."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import availability
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import period as periods
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import availability_page, documents

Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """Works on the control node alone."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        super().run(tmp, task_vars or {})
        _validation, given = self.validate_argument_spec(
            {
                "name": {"type": "str", "required": True},
                "records": {"type": "dict", "required": True},
                "month": {"type": "str"},
                "objectives": {"type": "dict", "default": {}},
                "evidence": {"type": "path", "default": "evidence"},
                "directory": {"type": "path", "default": "reports"},
            }
        )
        now = time.time()
        try:
            period = periods.period_of(given["month"], now)
            report = {"cluster": given["name"], **_report(given, period, now)}
            place = Path(given["directory"]).absolute() / f"availability-{given['name']}-{period.file_part}"
            answer = documents.written(
                report,
                availability_page.page,
                "availability-report-1.json",
                place,
                check_mode=self._task.check_mode,
            )
            names = ("availability_percent", "budget", "outages")
            return {**answer, **{name: report[name] for name in names}}
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}


def _report(given: Result, period: periods.Period, now: float) -> Result:
    places, problems = {}, []
    for host, record in given["records"].items():
        # Of an observer that could not be asked, nothing is known.
        lines = record.get("lines")
        places[host], wrong = availability.spans(lines or [], period)
        unasked = [] if lines is not None else [record.get("msg") or "it could not be asked"]
        told = [*unasked, *record.get("problems", []), *wrong]
        problems += [f"{host}: {problem}" for problem in told]
    operations, unread = _operations(Path(given["evidence"]).absolute(), given["name"])
    return availability.report(places, operations, period, given["objectives"], now, [*problems, *unread])


def _operations(folder: Path, cluster: str) -> tuple[list[availability.Operation], list[str]]:
    """What lies in the evidence folder about this cluster, and what of it cannot be read."""
    found, problems = [], []
    for path in sorted(folder.glob("*/report.json")):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problems.append(f"{path} cannot be read: {error}")
            continue
        operation = availability.operation(report, str(path.parent)) if isinstance(report, dict) else None
        if operation is not None and report.get("cluster") == cluster:
            found.append(operation)
    return found, problems

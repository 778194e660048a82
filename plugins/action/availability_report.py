# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What observers recorded, with the evidence that lies on this host, as a page and as JSON."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import availability
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import period as periods
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import availability_page, documents, sealed

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
    evidence, unproven = sealed.reports(Path(given["evidence"]).absolute(), given["name"])
    known = [availability.operation(report, str(folder)) for folder, report in evidence.items()]
    operations = [one for one in known if one is not None]
    return availability.report(places, operations, period, given["objectives"], now, [*problems, *unproven])

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A month of backups as a page and as JSON: records are read from the task's host, both are written on this one."""

from __future__ import annotations

import base64
import time
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import records
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_report as reports
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import period as periods
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.forecast import Known
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import backup_page, documents

Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """Reads three files of the repository host; nothing is changed there."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        self._variables = task_vars or {}
        super().run(tmp, self._variables)
        _validation, given = self.validate_argument_spec(
            {
                "name": {"type": "str", "required": True},
                "stanza": {"type": "str", "required": True},
                "month": {"type": "str"},
                "repos": {"type": "list", "elements": "int", "default": [1]},
                "objectives": {"type": "dict", "default": {}},
                "windows": {"type": "list", "elements": "dict"},
                "directory": {"type": "path", "default": "reports"},
                "records_directory": {"type": "path", "default": str(records.ROOT)},
            }
        )
        now = time.time()
        try:
            period = periods.period_of(given["month"], now)
            report = {
                "cluster": given["name"],
                "stanza": given["stanza"],
                **reports.backup_report(self._known(given), period, given["objectives"], now, given["windows"]),
            }
            place = Path(given["directory"]).absolute() / f"backups-{given['name']}-{period.file_part}"
            answer = documents.written(
                report, backup_page.page, "backup-report-1.json", place, check_mode=self._task.check_mode
            )
            return {**answer, "figures": report["figures"]}
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}

    def _known(self, given: Result) -> Known:
        kept = records.files(given["stanza"], Path(given["records_directory"]))
        read = {name: self._read(getattr(kept, name)) for name in ("catalogue", "verifications", "forecasts")}
        problems = [problem for lines in read.values() for problem in lines.problems]
        return Known(**{name: lines.records for name, lines in read.items()}, repos=given["repos"], problems=problems)

    def _read(self, path: Path) -> records.Lines:
        """A file of the task's host; one that is not there has no records yet.

        :raises UnknownError: whether it is there, or what is in it, could not be seen.
        """
        there = self._asked("ansible.builtin.stat", path=str(path), get_checksum=False, get_mime=False)
        if not there["stat"]["exists"]:
            return records.Lines()
        return records.parse(
            base64.b64decode(self._asked("ansible.builtin.slurp", src=str(path))["content"]), path.name
        )

    def _asked(self, module: str, **arguments: t.Any) -> Result:
        answer = self._execute_module(module_name=module, module_args=arguments, task_vars=self._variables)
        if answer.get("failed") or answer.get("unreachable"):
            raise UnknownError(f"the records could not be read: {answer.get('msg')}", given=arguments)
        return t.cast("Result", answer)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runbooks that lie on the control node are judged, before anybody needs them."""

from __future__ import annotations

import typing as t
from datetime import date, datetime, timezone
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.lint import lint
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """Works on the control node alone, and changes nothing."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        super().run(tmp, task_vars or {})
        _validation, given = self.validate_argument_spec(
            {
                "directory": {"type": "path", "default": str(catalogue.RUNBOOKS)},
                "today": {"type": "str"},
            }
        )
        try:
            return _judged(Path(given["directory"]).absolute(), _day(given["today"]))
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}


def _judged(directory: Path, today: date) -> Result:
    sources = catalogue.sources(directory)
    known = catalogue.known(sources)
    findings = lint(sources, catalogue.schema(), known, today)
    return {
        "changed": False,
        "verdict": "failed" if findings else "unknown" if known.unseen else "passed",
        "runbooks": [source.folder for source in sources],
        "findings": [finding.as_dict() for finding in findings],
        "unseen": sorted(known.unseen),
        "reasons": [str(finding) for finding in findings],
    }


def _day(given: str | None) -> date:
    if given is None:
        return datetime.now(timezone.utc).date()
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise InputError("this is no day", given=f"today={given}", possible="a day as 2026-11-26") from error

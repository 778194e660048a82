# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Game days of the coming weeks, by what the evidence on this host says was drilled."""

from __future__ import annotations

import shlex
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import write
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import gameday
from ansible_collections.fraiseql.resilience.plugins.plugin_utils import scenarios
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import sealed
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence.summary import aligned
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

Result = dict[str, t.Any]

ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "engine": {"type": "str", "choices": ["manual", "patroni"]},
    "start": {"type": "str"},
    "weeks": {"type": "int", "default": 13},
    "per_week": {"type": "int", "default": 1},
    "weekday": {"type": "str", "default": "tuesday"},
    "people": {"type": "list", "elements": "str", "default": []},
    "evidence": {"type": "path", "default": "evidence"},
    "directory": {"type": "path", "default": str(catalogue.RUNBOOKS)},
    "file": {"type": "path"},
}


class ActionModule(ActionBase):
    """Works on the control node alone."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        super().run(tmp, task_vars or {})
        _validation, given = self.validate_argument_spec(ARGUMENTS)
        try:
            planned, page = _planned(given)
            return {**planned, **_kept(given["file"], page, check_mode=self._task.check_mode)}
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}


def _planned(given: Result) -> tuple[Result, str]:
    """The plan as the action answers with it, and as a page."""
    today = datetime.now(timezone.utc).date()
    when = gameday.rhythm(given["start"], given["weeks"], given["per_week"], given["weekday"], today)
    found = scenarios.drilled(Path(given["directory"]).absolute(), given["engine"])
    possible = [gameday.Scenario(name, one.title, one.severity) for name, one in found.possible.items()]
    past, problems = _past(Path(given["evidence"]).absolute(), given["name"])
    days = gameday.plan(possible, past, when, given["people"], lambda name: _command(given["name"], name))
    answer = {
        "plan": [day.as_dict() for day in days],
        "left_out": found.left_out,
        "problems": problems,
        "table": aligned([gameday.HEADINGS, *(day.cells for day in days)]),
    }
    return answer, gameday.markdown(given["name"], days, found.left_out)


def _past(evidence: Path, cluster: str) -> tuple[list[gameday.Drilled], list[str]]:
    found, problems = [], []
    for operation in gameday.OPERATIONS:
        reports, wrong = sealed.reports(evidence, cluster, operation)
        found += gameday.drilled(reports.values())
        problems += wrong
    return found, problems


def _command(cluster: str, scenario: str) -> str:
    given = {"resilience_cluster": cluster, "resilience_confirm": cluster, "resilience_scenario": scenario}
    words = ["ansible-playbook", "-i", "inventory.yml", "fraiseql.resilience.drill"]
    return shlex.join([*words, *(word for name, value in given.items() for word in ("-e", f"{name}={value}"))])


def _kept(file: str | None, page: str, *, check_mode: bool) -> Result:
    """:raises InputError: the file can be neither read nor written."""
    if not file:
        return {"changed": False, "file": None}
    path = Path(file).absolute()
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before != page and not check_mode:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, page.encode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the plan cannot be kept there: {error}",
            given=f"resilience_gameday_file={file}",
            next_step="name a file on the control node that can be written",
        ) from error
    shown = [{"before_header": str(path), "after_header": str(path), "before": before, "after": page}]
    return {"changed": before != page, "file": str(path), "diff": shown if before != page else []}

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can the cluster be recovered right now? Judged on the control node, where the evidence of the drills is."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import readiness
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import sealed
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence.screen import screen


class ActionModule(ActionBase):
    """Facts and evidence in, the status out; nothing is touched."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars or {})
        _validation, given = self.validate_argument_spec(
            {
                "name": {"type": "str", "required": True},
                "cluster": {"type": "dict"},
                "window": {"type": "dict"},
                "objectives": {"type": "dict", "required": True},
                "directory": {"type": "path", "default": "evidence"},
                "proof_days": {"type": "float", "default": 30},
                "forecast": {"type": "dict"},
                "verification_days": {"type": "float", "default": readiness.VERIFICATION_DAYS},
            }
        )
        status = readiness.judge(
            seen(given["cluster"], "members"),
            seen(given["window"], "windows"),
            drills(Path(given["directory"]), given["name"]),
            given["objectives"],
            datetime.now(timezone.utc),
            given["proof_days"],
            seen(given["forecast"], "recoveries"),
            given["verification_days"],
        )
        status = {"cluster": given["name"], **status}
        return {"changed": False, "status": status, "verdict": status["verdict"], "screen": screen(status)}


def seen(result: dict[str, t.Any] | None, key: str) -> dict[str, t.Any] | None:
    """A module's answer; None where it failed, was skipped, or its host could not be reached."""
    return result if result and key in result else None


def drills(directory: Path, cluster: str) -> list[readiness.Drill]:
    """The drills on this cluster whose evidence is sealed and unchanged."""
    return [drill(report) for report in sealed.reports(directory, cluster, "drill")[0].values()]


def drill(report: dict[str, t.Any]) -> readiness.Drill:
    return readiness.Drill(
        scenario=report["scenario"],
        verdict=report["verdict"],
        ended=datetime.fromisoformat(report["ended_utc"]),
        rto_seconds=report["rto_seconds"],
        lost_transactions=report["rpo"]["transactions"],
    )

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the new key of the repositories whole, and is an earlier one still of use? Judged on the control node."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import rotation
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import worst


class ActionModule(ActionBase):
    """Facts in, verdict out; no host is touched."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars or {})
        _validation, given = self.validate_argument_spec(
            {
                "state": {"type": "str", "choices": ["rotated", "retirable"], "default": "rotated"},
                "window": {"type": "dict", "required": True},
                "earlier": {"type": "list", "elements": "int", "required": True},
                "repos": {"type": "list", "elements": "int", "required": True},
                "retention_days": {"type": "float", "default": 30.0},
            }
        )
        looked, earlier, repos = given["window"], given["earlier"], given["repos"]
        if given["state"] == "retirable":
            now = datetime.now(timezone.utc).timestamp()
            checks = rotation.retirable(looked, earlier, repos, now, given["retention_days"])
        else:
            checks = rotation.handover(looked, earlier, repos)
        return {
            "changed": False,
            "verdict": worst(checks).value,
            "checks": [check.as_dict() for check in checks],
            "without_backup": rotation.without_backup(looked, repos),
        }

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asked first in every destructive playbook, before any host is touched."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.confirmation import confirm, known_clusters


class ActionModule(ActionBase):
    """Reads the inventory, which only the control node has."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(
            {
                "cluster": {"type": "str"},
                "confirmation": {"type": "str"},
                "functions": {"type": "list", "elements": "str", "default": ["members", "observers"]},
            }
        )
        known = known_clusters(variables.get("groups", {}), given["functions"])
        try:
            cluster = confirm(given["cluster"], given["confirmation"], known, destructive=not self._task.check_mode)
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}
        return {"changed": False, "cluster": cluster, "known": known}

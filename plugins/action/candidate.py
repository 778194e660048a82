# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes over: judged on the control node, since a remote task would cost a third of a second of the outage."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import candidate


class ActionModule(ActionBase):
    """Facts in, plan out; no host is touched."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars or {})
        _validation, given = self.validate_argument_spec(
            {
                "operation": {"type": "str", "required": True, "choices": ["switchover", "failover"]},
                "cluster": {"type": "dict", "required": True},
                "wanted": {"type": "str"},
                "region": {"type": "str"},
                "lost": {"type": "str"},
                "rpo_seconds": {"type": "float"},
                "accept_loss": {"type": "str"},
                "lost_region": {"type": "str"},
            }
        )
        try:
            if given["operation"] == "switchover":
                plan = candidate.switchover(given["cluster"], given["wanted"], given["region"])
            else:
                loss = {key: given.get(key) for key in ("rpo_seconds", "accept_loss", "lost_region")}
                plan = candidate.failover(given["cluster"], given["wanted"], given["lost"], **loss)
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}
        return {"changed": False, "msg": str(plan), **plan.as_dict()}

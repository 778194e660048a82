# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the run that it is part of, with SIGKILL, at the first result of its n-th task.

CHAOS_KILL_AFTER says which one; without it, nothing is killed. What each task was, whether it changed anything, and how
long it took goes to the file CHAOS_TASKS. The run has to be the leader of its own process group.
"""

from __future__ import annotations

import json
import os
import signal
import time
import typing as t
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kill_after
type: aggregate
short_description: Kill the run after its n-th task
description: [Kill the run after its n-th task.]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_after"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *words: t.Any, **named: t.Any) -> None:
        super().__init__(*words, **named)
        self.begun: dict[str, float] = {}
        self.seen: dict[str, dict[str, t.Any]] = {}

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self.begun[task._uuid] = time.monotonic()

    v2_playbook_on_handler_task_start = v2_playbook_on_cleanup_task_start = v2_playbook_on_task_start

    def _ended(self, result: t.Any) -> None:
        task, now = result._task, time.monotonic()
        first = task._uuid not in self.seen
        record = self.seen.setdefault(task._uuid, {"name": task.get_name(), "changed": False})
        record["changed"] = record["changed"] or bool(result._result.get("changed"))
        record["seconds"] = round(now - self.begun.get(task._uuid, now), 3)
        Path(os.environ["CHAOS_TASKS"]).write_text(json.dumps(list(self.seen.values())), encoding="utf-8")
        if first and len(self.seen) == int(os.environ.get("CHAOS_KILL_AFTER", "0")):
            os.killpg(0, signal.SIGKILL)

    v2_runner_on_ok = v2_runner_on_skipped = v2_runner_on_unreachable = _ended

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._ended(result)

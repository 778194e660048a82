# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the run that it is part of, with SIGKILL, at the first result of its n-th task.

CHAOS_KILL_AFTER says which one; without it, nothing is killed. The number of tasks, and the name of the last one, go to
the file CHAOS_TASKS. The run has to be the leader of its own process group.
"""

from __future__ import annotations

import os
import signal
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
        self.seen: list[str] = []

    def _ended(self, result: t.Any) -> None:
        task = result._task
        if task._uuid in self.seen:
            return
        self.seen.append(task._uuid)
        Path(os.environ["CHAOS_TASKS"]).write_text(f"{len(self.seen)} {task.get_name()}\n", encoding="utf-8")
        if len(self.seen) == int(os.environ.get("CHAOS_KILL_AFTER", "0")):
            os.killpg(0, signal.SIGKILL)

    v2_runner_on_ok = v2_runner_on_skipped = v2_runner_on_unreachable = _ended

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._ended(result)

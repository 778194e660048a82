# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step of a runbook came to, told to the run that does the runbook."""

from __future__ import annotations

DOCUMENTATION = r"""
name: step_outcome
type: notification
short_description: Tell the run of a runbook what came of a step
description:
  - M(fraiseql.resilience.runbook) runs each step as a playbook of its own, and enables this there. Nobody else needs
    it.
  - Writes one line of JSON for each failed task, each host that was not to be reached, and each answer of a module of
    this collection. A result that is not to be logged is not told.
requirements:
  - enabled in the configuration
options:
  path:
    description: The file that is written; without it nothing is.
    type: path
    env:
      - name: RESILIENCE_STEP_OUTCOME
author:
  - FraiseQL contributors (@fraiseql)
"""

import json
import typing as t

from ansible.plugins.callback import CallbackBase

from ansible_collections.fraiseql.resilience.plugins.callback.recovery_clock import (
    APPROVAL,
    DEBUG,
    told,
)

COLLECTION = "fraiseql.resilience."
#: Asked before anything is done; where one of them refuses, nothing was.
ASKING = (*APPROVAL, "fraiseql.resilience.confirmation", "confirmation")
#: Of an answer, what is told otherwise, or is Ansible's own business.
LEFT_OUT = frozenset({"invocation", "ansible_facts", "diff", "exception", "warnings", "deprecations"})
#: A longer answer is no finding.
LETTERS = 200_000


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "fraiseql.resilience.step_outcome"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: t.Any) -> None:  # noqa: ARG002
        self._tell("begun")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._answer(result)
        if str(result._task.action) in DEBUG and "msg" in result._result:
            self._tell("shown", host=_host(result), said=result._result["msg"])

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._answer(result)
        about = {"said": told(result._result), "error": result._result.get("error", ""), "ignored": ignore_errors}
        asks = str(result._task.action) in ASKING
        self._tell("failed", host=_host(result), task=_task(result), asks=asks, **about)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        ignored = bool(result._task.ignore_unreachable)
        said = told(result._result)
        self._tell("unreachable", host=_host(result), task=_task(result), said=said, ignored=ignored)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._tell("ended", hosts=sorted(stats.processed), stats=dict(stats.custom.get("_run", {})))

    def _answer(self, result: t.Any) -> None:
        if str(result._task.action).startswith(COLLECTION):
            for answer in result._result.get("results") or [result._result]:
                kept = {name: value for name, value in answer.items() if name not in LEFT_OUT and name[:1] != "_"}
                if "censored" not in answer and len(json.dumps(kept, default=str)) <= LETTERS:
                    self._tell("answer", host=_host(result), task=_task(result), result=kept)

    def _tell(self, kind: str, **fields: t.Any) -> None:
        """It must never be what stops a step."""
        path = self.get_option("path")
        try:
            if path:
                with open(path, "a", encoding="utf-8") as file:
                    file.write(json.dumps({"kind": kind, **fields}, default=str) + "\n")
        except OSError as error:
            self._display.warning(f"what came of this step could not be told: {error}")


def _host(result: t.Any) -> str:
    return str(result._host.get_name())


def _task(result: t.Any) -> str:
    return str(result._task.get_name()).strip()

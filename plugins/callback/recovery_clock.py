# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of an operation on the terminal, as they are reached."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recovery_clock
type: aggregate
short_description: Show the phases of an operation as they are reached
description:
  - Prints one line for each mark of M(fraiseql.resilience.rto_timer), with the seconds since the fault (or since the
    operation
    began), and the place of the evidence at the end.
  - Writes each failed task and each unreachable host to the open evidence, so that an operation that was aborted says
    why.
  - Beside any other display, with C(callbacks_enabled = fraiseql.resilience.recovery_clock).
  - Or as the only display, with C(stdout_callback = fraiseql.resilience.recovery_clock). Then it also shows each
    play, tasks
    that take long, what M(ansible.builtin.debug) says, and failures in full, and nothing else. C(-v) lists all tasks.
requirements:
  - enabled in the configuration
options:
  slow_seconds:
    description: As the only display, show a task that took at least this many seconds.
    type: float
    default: 3
    env:
      - name: RESILIENCE_CLOCK_SLOW_SECONDS
    ini:
      - section: callback_recovery_clock
        key: slow_seconds
author:
  - FraiseQL contributors (@fraiseql)
"""

import os
import re
import sys
import time
import typing as t

from ansible import constants
from ansible.plugins.callback import CallbackBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import current

NAME = "fraiseql.resilience.recovery_clock"
TIMER = ("fraiseql.resilience.rto_timer", "rto_timer")
EVIDENCE = ("fraiseql.resilience.evidence", "evidence")
APPROVAL = ("fraiseql.resilience.approval", "approval")
DEBUG = ("ansible.builtin.debug", "ansible.legacy.debug", "debug")
COLOURS = {"passed": "green", "failed": "red", "unknown": "yellow"}
#: The end of a reason that stands in the evidence, in characters.
REASON = 500


class CallbackModule(CallbackBase):
    """Notified by Ansible in its main process, while workers run the tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = NAME
    CALLBACK_NEEDS_ENABLED = True
    _displays = False

    def __init__(self) -> None:
        super().__init__()
        self._alone = str(constants.DEFAULT_STDOUT_CALLBACK) == NAME
        # ansible-core before 2.19 loads the display a second time if it is enabled, too.
        self.disabled = self._alone and CallbackModule._displays
        CallbackModule._displays = True
        self._task_began = time.monotonic()
        self._task_shown = True
        self._play_shown = ""
        self._paths: list[tuple[str, str | None]] = []

    # what Ansible tells -----------------------------------------------------------------------------------------------

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        name = play.get_name().strip()
        if self._alone and name and name != self._play_shown:
            self._say(f"\n{name}", "bright blue")
            self._play_shown = name

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:  # noqa: ARG002
        self._task_began = time.monotonic()
        self._task_shown = not self._alone or _action(task) in (*TIMER, *EVIDENCE, *APPROVAL, *DEBUG)
        self._waiting_for(task.get_name().strip())

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        if "results" not in result._result or not result._task.loop:  # a loop has told of each item already
            self.v2_runner_item_on_ok(result)
        self._slow(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        action, answer = _action(result._task), result._result
        if action in TIMER:
            self._mark(answer)
        elif action in EVIDENCE:
            self._evidence(answer)
        elif action in APPROVAL:
            self._approvals(answer)
        elif action in DEBUG and self._alone:
            self._debug(answer)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        if _action(result._task) in EVIDENCE:
            self._evidence(result._result)
        self._failure(result, "failed", quietly=ignore_errors)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._failure(result, "unreachable", quietly=False)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        if self._alone:
            self._say("no host of the inventory matches", "yellow")

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._waiting_for("")
        left_open = current.opened()
        if left_open is not None:
            self._say(f"\nevidence, not sealed: {left_open.path}", "yellow")
        for path, verdict in self._paths:
            self._say(f"\n{verdict or 'evidence'}: {path}", COLOURS.get(verdict or ""))
        if self._alone and (stats.failures or stats.dark):
            hosts = ", ".join(sorted({*stats.failures, *stats.dark}))
            self._say(f"\nstopped: {hosts}", "red")

    # what is shown ----------------------------------------------------------------------------------------------------

    def _mark(self, answer: t.Mapping[str, t.Any]) -> None:
        if answer.get("mark"):
            self._say(line(answer.get("seconds"), answer["mark"], answer.get("detail")), "cyan")

    def _evidence(self, answer: t.Mapping[str, t.Any]) -> None:
        if "table" in answer:
            self._say("\n" + "\n".join(answer["table"]), None)
        if answer.get("joined") is False and answer.get("path"):
            what = " ".join(filter(None, (answer["operation"], answer.get("scenario"))))
            self._say(f"{what} on {answer['cluster']}, evidence in {answer['path']}", "bright blue")
        if answer.get("sealed") or "table" in answer:
            self._paths.append((answer["path"], answer["verdict"]))
        for check in answer.get("report", answer).get("checks", []) if isinstance(answer, dict) else []:
            self._say(f"{check['verdict']:>9}  {check['name']}: {check['reason']}", COLOURS.get(check["verdict"]))

    def _approvals(self, answer: t.Mapping[str, t.Any]) -> None:
        if answer.get("needed") and not answer["approvals"]:
            self._say(f"approvals that the operation itself will take: {answer['needed']}", "yellow")
        for one in answer.get("approvals", []):
            if one["kind"] == "break_glass":
                self._say(
                    f"BREAK GLASS, {one['operation']} WITHOUT APPROVAL, {one['requester']}: {one['reason']}", "red"
                )
            else:
                self._say(f"{one['operation']} approved by {one['approver']}", "green")

    def _debug(self, answer: t.Mapping[str, t.Any]) -> None:
        said = answer.get("msg")
        for text in said if isinstance(said, list) else [said]:
            if text is not None:
                self._say(str(text), None)

    def _slow(self, result: t.Any) -> None:
        took = time.monotonic() - self._task_began
        if self._task_shown or (took < self.get_option("slow_seconds") and not self._display.verbosity):
            return
        self._task_shown = True
        self._say(f"{took:9.1f} s  {result._task.get_name().strip()}", "bright gray")

    def _failure(self, result: t.Any, kind: str, *, quietly: bool) -> None:
        task, host = result._task.get_name().strip(), str(result._host.get_name())
        reason = told(result._result)
        if not quietly:
            self._record(task, host, f"{kind}: {reason}" if kind != "failed" else reason)
        if self._alone:
            word = f"{kind}, ignored" if quietly else kind
            self._say(f"{word}: {host}: {task}\n{reason}", "yellow" if quietly else "red")

    def _record(self, task: str, host: str, reason: str) -> None:
        """Why the operation stopped, into its evidence. A display must never be what stops a recovery."""
        try:
            bundle = current.opened()
            if bundle is not None:
                bundle.timeline.append("failure", task=task, host=host, reason=reason[:REASON])
        except (OSError, ResilienceError) as error:
            self._display.warning(f"the failure could not be written to the evidence: {error}")

    def _say(self, text: str, colour: str | None) -> None:
        self._waiting_for("")
        self._display.display(text, color=colour)
        sys.stdout.flush()

    def _waiting_for(self, name: str) -> None:
        """As the only display, on a terminal: the task that runs now, on a line that the next one takes."""
        if self._alone and sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
            width = max(int(getattr(self._display, "columns", 79)) - 4, 20)
            sys.stdout.write(f"\r\x1b[K\x1b[2m  {name[:width]}\x1b[0m" if name else "\r\x1b[K")
            sys.stdout.flush()


def line(seconds: float | None, mark: str, detail: str | None) -> str:
    """One phase: ``T+  3.42 s  fenced            pg-a1: agent says off``."""
    when = "T+     ? s" if seconds is None else f"T{'-' if seconds < 0 else '+'}{abs(seconds):6.2f} s"
    return f"{when}  {mark:<16}  {detail or ''}".rstrip()


def told(answer: t.Mapping[str, t.Any]) -> str:
    """What a failed task said, in short. Of a loop, what its failed items said."""
    items = [item for item in answer.get("results", []) if isinstance(item, dict) and item.get("failed")]
    if items:
        return "; ".join(dict.fromkeys(told(item) for item in items))
    said = answer.get("msg") or answer.get("censored") or answer.get("reason") or "no reason given"
    more = str(answer.get("stderr", "")).strip()
    return re.sub(r"\s+", " ", f"{said}: {more[-REASON:]}" if more and more not in str(said) else str(said)).strip()


def _action(task: t.Any) -> str:
    return str(task.action)

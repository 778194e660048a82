# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mark the phases of an operation, and find out how far another host's clock is from the control node's."""

from __future__ import annotations

import shlex
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import monotonic_ns
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    ResilienceError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import clocks
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.hash_chain import Event
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.timeline import CONTROL
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import current

Result = dict[str, t.Any]

ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "mark": {"type": "str"},
    "detail": {"type": "str"},
    "at": {
        "type": "dict",
        "options": {
            "clock": {"type": "str", "required": True},
            "monotonic_ns": {"type": "int", "required": True},
            "error_ns": {"type": "int", "default": 0},
        },
    },
    "sync_with": {"type": "str"},
    "samples": {"type": "int", "default": 5},
}
#: Prints the clock that the host's monotonic stamps are made on.
ASK = "import time; print(time.clock_gettime_ns(time.CLOCK_MONOTONIC))"


class ActionModule(ActionBase):
    """A mark costs no round trip: it is stamped and written on the control node, also when the task is for a host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        now_ns = monotonic_ns()  # first of all: this is the moment that the task stands for
        variables = task_vars or {}
        super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(
            ARGUMENTS, required_one_of=[("mark", "sync_with")], required_by={"at": "mark"}
        )
        try:
            return self._answer(given, now_ns, str(variables.get("inventory_hostname", "localhost")))
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}

    def _answer(self, given: Result, now_ns: int, host: str) -> Result:
        mark = clocks.phase(given["mark"]) if given["mark"] is not None else None
        stamp = given["at"] or {"clock": CONTROL, "monotonic_ns": now_ns, "error_ns": 0}
        detail = given["detail"] or None
        answer: Result = {"changed": not self._task.check_mode, "mark": mark, "detail": detail, "at": stamp}
        if self._task.check_mode:
            return {**answer, "seconds": None, "marks": {}}
        bundle = current.needed()
        # The mark goes to disk before anything that may take time or fail.
        if mark is not None:
            bundle.timeline.append("mark", mark=mark, detail=detail, host=host, **stamp)
        if given["sync_with"]:
            answer["offset"] = self._compare_clocks(given["sync_with"], host, given["samples"])
            fields = {"offset_ns": answer["offset"]["offset_ns"], "offset_error_ns": answer["offset"]["error_ns"]}
            bundle.timeline.append("clock", other_clock=given["sync_with"], host=host, **fields)
        events = bundle.events()
        return {**answer, **_since(events, mark), "marks": clocks.as_marks(events), "path": str(bundle.path)}

    def _compare_clocks(self, clock: str, host: str, samples: int) -> Result:
        if clock == CONTROL:
            raise InputError("the control node's clock is what others are compared with", given=clock)
        readings = [reading for _sample in range(samples) if (reading := self._reading()) is not None]
        if not readings:
            raise UnknownError(f"the clock of {host} could not be read", next_step="see that python3 runs there")
        found = clocks.offset(readings)
        return {"clock": clock, "host": host, "offset_ns": found.offset_ns, "error_ns": found.error_ns}

    def _reading(self) -> clocks.Reading | None:
        before_ns = monotonic_ns()
        said = self._low_level_execute_command(f"python3 -I -S -c {shlex.quote(ASK)}", sudoable=False)
        after_ns = monotonic_ns()
        text = str(said.get("stdout", "")).strip()
        return clocks.Reading(before_ns, int(text), after_ns) if said.get("rc") == 0 and text.isdigit() else None


def _since(events: t.Sequence[Event], mark: str | None) -> Result:
    """``seconds`` since the fault, or since the operation began where none is marked; ``None`` if nobody can say."""
    if mark is None:
        return {"seconds": None}
    this = next(event for event in reversed(events) if event["kind"] == "mark" and event["mark"] == mark)
    fault = next((event for event in events if event["kind"] == "mark" and event["mark"] == "fault"), events[0])
    if this["clock"] == fault["clock"]:
        return {"seconds": round((this["monotonic_ns"] - fault["monotonic_ns"]) / 1e9, 3)}
    known = clocks.offsets(events)
    end, begin = clocks.place(this, known), clocks.place(fault, known)
    return {"seconds": None if end is None or begin is None else round((end.ns - begin.ns) / 1e9, 3)}

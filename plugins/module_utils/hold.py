# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts hold_clients.py under systemd and reads what became of it.

The program lives on without this one: a cancelled job leaves no client held.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    RefusedError,
    ResilienceError,
    UnknownError,
)

UNIT = "resilience-hold.service"

#: A token goes into a NOTIFY and into a unit's command line.
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

#: Seconds beyond the hold's own deadlines after which systemd ends it, and after which nobody waits for it any more.
KILL_AFTER = 5.0
WAIT_BEYOND = 10.0


@dataclass(frozen=True)
class Request:
    """What is asked for; seconds throughout."""

    token: str
    old_primary: str
    deadline: float
    pause_timeout: float
    program: str
    descriptor: str
    state_file: str

    def __post_init__(self) -> None:
        if not TOKEN.fullmatch(self.token):
            raise InputError(
                "the token cannot be used",
                given=f"token={self.token}",
                possible="1 to 64 letters, digits, '_', '.' or '-', the first of them a letter or digit",
            )
        if self.deadline <= 0 or self.pause_timeout <= 0:
            raise InputError(
                "a hold needs time",
                given=f"deadline={self.deadline:g} pause_timeout={self.pause_timeout:g}",
                possible="more than 0 seconds each",
            )
        if not os.path.exists(self.descriptor):
            raise InputError(
                "this host is no gateway",
                given=f"descriptor={self.descriptor}, which does not exist",
                next_step="run role fraiseql.resilience.gateway on it",
            )

    def arguments(self) -> list[str]:
        return ["--descriptor", self.descriptor, "--state", self.state_file, "--token", self.token]


def plan(run: Runner, request: Request) -> dict[str, t.Any]:
    """What a hold would meet: how many clients, which transactions are open. Changes nothing.

    :raises RefusedError: a guard would refuse the hold.
    """
    answer = run(
        [request.program, *request.arguments(), "--old-primary", request.old_primary, "--plan"], timeout=15
    ).stdout
    found: dict[str, t.Any] = json.loads(answer)
    if found["outcome"] == "refused":
        raise RefusedError(found["reason"], next_step=found["next_step"])
    return found


def read_state(path: str) -> dict[str, t.Any] | None:
    """The state file's content, ``None`` if there is none; it is replaced as a whole, so never half of one."""
    try:
        with open(path, encoding="utf-8") as stream:
            state: dict[str, t.Any] = json.load(stream)
            return state
    except (FileNotFoundError, ValueError):
        return None


def already_done(request: Request) -> dict[str, t.Any] | None:
    """The state that this very request left behind, if it has already ended on a new primary."""
    state = read_state(request.state_file)
    if state is None or state["token"] != request.token or state["outcome"] != "resumed_on_new_primary":
        return None
    return state


def hold(run: Runner, request: Request) -> dict[str, t.Any]:
    """Hold the clients, or join a hold of the same token that is under way, and wait for its end.

    :raises RefusedError: another hold is under way.
    :raises UnknownError: it told nothing within its deadlines.
    """
    if not _under_way(run, request):
        _start(run, request)
    bound = request.deadline + request.pause_timeout + WAIT_BEYOND
    return poll(_End(run, request), timeout=bound, interval=0.02, what=f"{UNIT} says how it ended")


def _under_way(run: Runner, request: Request) -> bool:
    """Whether this very hold runs already.

    :raises RefusedError: another one does.
    """
    if not is_running(run):
        return False
    state = read_state(request.state_file) or {}
    if state.get("state") == "done":  # a former one, whose unit is about to end
        poll(lambda: None if is_running(run) else True, timeout=5, interval=0.05, what=f"{UNIT} ends")
        return False
    if state.get("token") != request.token:
        raise RefusedError(
            "another hold is under way on this gateway",
            given=f"token={request.token}; the other one's is {state.get('token', 'unknown')}",
            next_step="wait until it has ended; it has a deadline",
        )
    return True


def is_running(run: Runner) -> bool:
    shown = run(["systemctl", "show", "--property=ActiveState", "--value", UNIT], timeout=5).stdout.strip()
    return shown in {"active", "activating", "deactivating"}


def _start(run: Runner, request: Request) -> None:
    if os.path.exists(request.state_file):
        os.unlink(request.state_file)
    let_go = " ".join([request.program, "--resume", *request.arguments()])
    run(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={UNIT}",
            "--service-type=exec",
            f"--property=RuntimeMaxSec={request.deadline + request.pause_timeout + KILL_AFTER:g}",
            f"--property=ExecStopPost={let_go}",
            request.program,
            *request.arguments(),
            "--old-primary",
            request.old_primary,
            f"--deadline={request.deadline:g}",
            f"--pause-timeout={request.pause_timeout:g}",
        ],
        timeout=10,
    )


class _End:
    """How the hold ended, once it has; now and then the unit is looked at, lest a dead one be waited for."""

    LOOK_AT_UNIT_EVERY = 25

    def __init__(self, run: Runner, request: Request) -> None:
        self._run = run
        self._request = request
        self._looks = 0

    def __call__(self) -> dict[str, t.Any] | None:
        self._looks += 1
        gone = self._looks % self.LOOK_AT_UNIT_EVERY == 0 and not is_running(self._run)
        state = read_state(self._request.state_file)
        if state is not None and state["token"] == self._request.token and state["state"] == "done":
            return state
        if gone:
            raise UnknownError(
                f"{UNIT} ended without saying how",
                next_step=f"read journalctl -u {UNIT}, and ask cluster_info",
                changed=True,
            )
        return None


def as_error(state: t.Mapping[str, t.Any]) -> ResilienceError | None:
    """What is wrong with how a hold ended, if anything."""
    outcome, reason, next_step = state["outcome"], state["reason"], state["next_step"] or None
    if outcome == "resumed_on_new_primary":
        return None
    if outcome in {"refused", "resumed_on_old_primary"}:
        return RefusedError(f"{reason}{_blockers(state)}", next_step=next_step)
    return UnknownError(f"{reason} ({outcome})", next_step=next_step, changed=True)


def _blockers(state: t.Mapping[str, t.Any]) -> str:
    """The sessions that a PAUSE waited for, in words."""
    named = [
        f"{one['user']}@{one['database']} from {one['client']}"
        + (f" ({one['application_name']})" if one["application_name"] else "")
        for one in state["blockers"]
    ]
    return f": {', '.join(named)}" if named else ""

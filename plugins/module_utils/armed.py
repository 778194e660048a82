# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that a host keeps armed: they act by themselves when their moment comes, else they disarm themselves.

An armed program is a transient unit of systemd, so it outlives the task, the connection and the control node, and ends
at its deadline whatever happens.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    InputError,
    RefusedError,
    UnknownError,
)

MEMBER = "/etc/fraiseql-resilience/member.json"
#: Seconds after its own deadline at which systemd ends a program that should have ended by itself.
GRACE_SECONDS = 150
#: Seconds that a program has to say that it is armed, or why it is not.
ARM_SECONDS = 20
#: Seconds that systemd may take beyond its own timeout to stop a program.
STOP_SECONDS = 30
#: Seconds between two looks at a state file.
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Armed:
    """Which program, under which unit, and where it says what became of it."""

    unit: str
    program: str
    state_file: str


PROMOTION = Armed(
    "resilience-promotion.service",
    "/usr/local/lib/fraiseql-resilience/promote_when_shut_down.py",
    "/var/lib/fraiseql-resilience/promotion.json",
)
DEMOTION = Armed(
    "resilience-demotion.service",
    "/usr/local/lib/fraiseql-resilience/stop_when_drained.py",
    "/var/lib/fraiseql-resilience/demotion.json",
)
#: DEMOTION's counterpart where Patroni is in charge: as DEMOTION, it is given the word by the gateway.
SWITCHOVER = Armed(
    DEMOTION.unit,
    "/usr/local/lib/fraiseql-resilience/switch_when_drained.py",
    DEMOTION.state_file,
)


def member(path: str = MEMBER) -> dict[str, t.Any]:
    """What role postgresql wrote of this member."""
    try:
        with open(path, encoding="utf-8") as file:
            facts: dict[str, t.Any] = json.load(file)
    except (OSError, ValueError) as error:
        raise InputError(
            f"this host is no member: {error}", given=path, next_step="run the site playbook on it"
        ) from error
    return facts


def state(armed: Armed) -> dict[str, t.Any]:
    """What the program last said; empty if it never ran."""
    try:
        with open(armed.state_file, encoding="utf-8") as file:
            said: dict[str, t.Any] = json.load(file)
    except FileNotFoundError:
        return {}
    return said


def is_active(armed: Armed, *, run: Runner) -> bool:
    answer = run(["systemctl", "is-active", armed.unit], timeout=10, check=False)
    # One that is told to stop after its moment has come is still at work.
    return answer.stdout.strip() in ("active", "activating", "deactivating")


def arm(
    armed: Armed, token: str, deadline: float, user: str, more: t.Sequence[str] = (), *, run: Runner
) -> dict[str, t.Any]:
    """Start the program and wait until it says that it is armed.

    :param more: what else the program is told.
    :raises RefusedError: it says that it cannot be.
    :raises UnknownError: it says nothing; it was stopped again.
    """
    disarm(armed, run=run)
    # What an earlier arming left, perhaps under the same token, would be read as this one's word.
    Path(armed.state_file).unlink(missing_ok=True)
    argv = [
        "systemd-run", "--quiet", f"--unit={armed.unit}", "--collect", f"--uid={user}",
        f"--property=RuntimeMaxSec={deadline + GRACE_SECONDS}",
        # Once its moment has come it goes on to the end, told to stop or not.
        f"--property=TimeoutStopSec={GRACE_SECONDS}",
        # What the program lays there is gone when the unit ends, however that comes about.
        f"--property=RuntimeDirectory={armed.unit.removesuffix('.service')}",
        armed.program, f"--token={token}", f"--deadline={deadline}", *more,
    ]  # fmt: skip
    run(argv, timeout=10)

    def said() -> dict[str, t.Any] | None:
        now = state(armed)
        return now if now.get("token") == token else None

    try:
        answer = poll(said, timeout=ARM_SECONDS, interval=POLL_SECONDS, what=f"{armed.unit} says that it is armed")
    except UnknownError as error:
        disarm(armed, run=run)
        error.next_step = f"read why on this host: journalctl --unit {armed.unit}"
        raise
    if answer["state"] == "failed":
        raise RefusedError(
            answer["reason"],
            possible="a running primary can be armed to stop, a standby that streams from it to take over",
            next_step="see what is wrong with module cluster_info, correct it, and begin anew",
        )
    return answer


def disarm(armed: Armed, *, run: Runner) -> bool:
    """Stop the program if it waits. True if it did."""
    if not is_active(armed, run=run):
        return False
    try:
        run(["systemctl", "stop", armed.unit], timeout=GRACE_SECONDS + STOP_SECONDS)
    except CommandFailed:
        # It has just ended by itself, at its deadline perhaps, and systemd knows it no more.
        if is_active(armed, run=run):
            raise
        return False
    return True


def await_end(armed: Armed, token: str, wanted: str, timeout: float) -> dict[str, t.Any]:
    """Wait until the program of that token has ended as ``wanted``.

    :raises RefusedError: it ended otherwise, having changed nothing.
    :raises UnknownError: it said nothing within ``timeout`` seconds.
    """

    def ended() -> dict[str, t.Any] | None:
        now = state(armed)
        return now if now.get("token") == token and now["state"] != "armed" else None

    answer = poll(ended, timeout=timeout, interval=POLL_SECONDS, what=f"{armed.unit} ends")
    if answer["state"] in ("expired", "disarmed"):
        raise RefusedError(
            f"{armed.unit} {answer['state']}: {answer['reason']}",
            next_step="see that the cluster is healthy with module cluster_info, and begin anew",
        )
    if answer["state"] != wanted:
        raise UnknownError(
            f"{armed.unit} {answer['state']}: {answer['reason']}",
            changed=True,
            next_step=f"see who is primary with module cluster_info, and why: journalctl --unit {armed.unit}",
        )
    return answer

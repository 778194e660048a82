# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fences a member, from within or by a fence agent, and looks for the proof."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandError,
    InputError,
    UnknownError,
)

#: The health agent answers as nobody's primary while this file is there.
MARK = Path("/var/lib/fraiseql-resilience/fenced")
#: Exit codes of a ClusterLabs agent's status: FenceAgentAPI.
STATUS_ON, STATUS_OFF = 0, 2
CLUSTER_STATE = re.compile(r"^Database cluster state:\s+(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Agent:
    """A fence agent and the options that it reads on stdin."""

    path: str
    options: t.Mapping[str, str]

    def ask(self, action: str, timeout: float, run: Runner) -> int:
        """The exit code of one action."""
        wrong = [key for key, value in self.options.items() if "\n" in key + value or "=" in key]
        if wrong:
            raise InputError("these options cannot be given to a fence agent", given=", ".join(wrong))
        lines = [f"action={action}", *(f"{key}={value}" for key, value in self.options.items())]
        return run([self.path], timeout=timeout, stdin="\n".join(lines) + "\n", check=False).rc


def by_agent(agent: Agent, member: str, timeout: float, *, check_mode: bool, run: Runner) -> tuple[bool, str]:
    """Switch the host off, and let the agent confirm that it is off.

    :raises UnknownError: the agent does not say that it is off.
    """
    proof = f"the fence agent {Path(agent.path).name} says that {member} is off"
    before = _asked(agent, "status", member, timeout, run)
    if before == STATUS_OFF:
        return False, proof
    if check_mode:
        return True, f"the fence agent {Path(agent.path).name} answers, and would switch {member} off"
    off = _asked(agent, "off", member, timeout, run)
    after = _asked(agent, "status", member, timeout, run)
    if after != STATUS_OFF:
        raise UnknownError(
            f"{member} is not proven fenced: the agent's action off ended with {off}, its status with {after}",
            possible=f"status {STATUS_OFF} (off)",
            changed=True,
            next_step="switch the host off by other means and let the agent confirm it, then run this again",
        )
    return True, proof


def _asked(agent: Agent, action: str, member: str, timeout: float, run: Runner) -> int:
    try:
        return agent.ask(action, timeout, run)
    except CommandError as error:
        raise UnknownError(
            f"{member} is not proven fenced: {error.message}",
            changed=action != "status",
            next_step="make the fence agent answer, or switch the host off by other means",
        ) from error


def by_host(member: t.Mapping[str, t.Any], timeout: float, *, check_mode: bool, run: Runner) -> tuple[bool, str]:
    """Stop and mask PostgreSQL on this host, and prove that nothing of it runs.

    :raises UnknownError: a postmaster is left.
    """
    done = MARK.exists() and _postmaster(member) is None
    if check_mode or done:
        return not done, f"PostgreSQL {'does not run' if done else 'would be stopped and masked'} on {member['name']}"
    # First of all the mark: the gateway leaves this member alone from now on.
    MARK.write_text(f"{utc_now()}\n", encoding="utf-8")
    run(["systemctl", "mask", "--runtime", member["unit"]], timeout=10)
    run(["systemctl", "kill", "--signal=SIGINT", "--kill-whom=main", member["unit"]], timeout=10, check=False)
    _stop(member, timeout, run)
    left = _postmaster(member)
    if left is not None:
        raise UnknownError(f"{member['name']} is not proven fenced: its postmaster {left} still runs", changed=True)
    state = _state(member, run)
    return True, f"no postmaster runs on {member['name']}, its unit is masked, its control file says '{state}'"


def undo_host(member: t.Mapping[str, t.Any], *, check_mode: bool, run: Runner) -> tuple[bool, str]:
    """Take mask and mark away, so that the member can be started again."""
    masked = run(["systemctl", "is-enabled", member["unit"]], timeout=10, check=False).stdout.startswith("masked")
    changed = masked or MARK.exists()
    if changed and not check_mode:
        run(["systemctl", "unmask", "--runtime", member["unit"]], timeout=10)
        MARK.unlink(missing_ok=True)
    return changed, f"{member['name']} is not fenced"


def _stop(member: t.Mapping[str, t.Any], timeout: float, run: Runner) -> None:
    """A shutdown that takes too long, as on frozen storage or in a stopped process, is ended by SIGKILL."""
    try:
        run(["systemctl", "stop", member["unit"]], timeout=timeout)
    except CommandError:
        run(["systemctl", "kill", "--signal=SIGKILL", member["unit"]], timeout=10, check=False)


def _postmaster(member: t.Mapping[str, t.Any]) -> int | None:
    """The pid of a running postmaster of this data directory."""
    try:
        pid = int((Path(member["data_dir"]) / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        command = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError, IndexError):
        return None
    return pid if command.startswith("postgres") else None


def _state(member: t.Mapping[str, t.Any], run: Runner) -> str:
    argv = [f"{member['bin_dir']}/pg_controldata", "--pgdata", member["data_dir"]]
    found = CLUSTER_STATE.search(run(argv, timeout=10, check=False).stdout)
    return found.group(1) if found else "unreadable"

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fences a member, from within or by a fence agent, and looks for the proof."""

from __future__ import annotations

import os
import re
import shutil
import signal
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll, utc_now
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
#: Where fence agents are installed; the PATH of a user's session often lacks it.
AGENT_PATHS = ("/usr/sbin", "/sbin", "/usr/local/sbin")
#: What a fence agent must not be told by its options: it would do something else than what it was asked.
RESERVED = ("action", "option", "o")
PROC = Path("/proc")
#: Seconds that processes have to vanish after SIGKILL.
VANISH_SECONDS = 5.0
POLL_SECONDS = 0.05
CLUSTER_STATE = re.compile(r"^Database cluster state:\s+(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Agent:
    """A fence agent and the options that it reads on stdin."""

    path: str
    options: t.Mapping[str, str]

    def ask(self, action: str, timeout: float, run: Runner) -> int:
        """The exit code of one action."""
        wrong = [
            key
            for key, value in self.options.items()
            if any(end in key + value for end in "\r\n\0") or "=" in key or key.strip() in RESERVED
        ]
        if wrong:
            raise InputError(
                "these options cannot be given to a fence agent",
                given=", ".join(repr(key) for key in wrong),
                possible=f"options of one line each, none of them called {', '.join(RESERVED)}",
                next_step="correct them in the inventory",
            )
        lines = [f"action={action}", *(f"{key}={value}" for key, value in self.options.items())]
        return run([installed(self.path)], timeout=timeout, stdin="\n".join(lines) + "\n", check=False).rc


def installed(agent: str) -> str:
    """The path of the agent, which may be given as a name.

    :raises InputError: there is no such program.
    """
    places = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *AGENT_PATHS]
    found = shutil.which(agent, path=os.pathsep.join(places))
    if found is None:
        raise InputError(
            "there is no such fence agent on the host that would run it",
            given=agent,
            possible=f"an executable file, or the name of one in {os.pathsep.join(places)}",
            next_step="install it, on Debian with the package fence-agents, or correct its path in the inventory",
        )
    return found


def by_agent(agent: Agent, member: str, timeout: float, *, check_mode: bool, run: Runner) -> tuple[bool, str]:
    """Switch the host off, and let the agent confirm that it is off.

    :raises UnknownError: the agent does not say that it is off.
    """
    proof = f"the fence agent {Path(agent.path).name} says that {member} is off"
    before = _asked(agent, "status", member, timeout, run)
    if before == STATUS_OFF:
        return False, proof
    if check_mode and before != STATUS_ON:
        raise UnknownError(
            f"the fence agent does not know whether {member} is on: its status ended with {before}",
            possible=f"status {STATUS_ON} (on) or {STATUS_OFF} (off)",
            next_step="try the agent by hand with the same options",
        )
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

    In this order: the mark, so that the gateway leaves this member alone from now on; the mask, so that nobody starts
    it again, also after a reboot; a fast shutdown; SIGKILL for what is left after ``timeout`` seconds; the proof.

    :raises UnknownError: it could not be masked, or a process is left.
    """
    name = member["name"]
    done = MARK.exists() and _masked(member, run) and not _living(member)
    if check_mode or done:
        return not done, f"PostgreSQL {'does not run' if done else 'would be stopped and masked'} on {name}"
    marked = _mark()
    try:
        _mask(member, run)
        if member.get("patroni"):
            _stop_behind_patroni(member, timeout, run)
        else:
            run(["systemctl", "kill", "--signal=SIGINT", "--kill-whom=main", member["unit"]], timeout=10, check=False)
            _stop(member, timeout, run)
    except CommandError as error:
        raise UnknownError(
            f"{name} is not proven fenced: {error.message}",
            changed=True,
            next_step="let its fence agent switch the host off (method agent)",
        ) from error
    left = _living(member)
    if left:
        raise UnknownError(
            f"{name} is not proven fenced: of its PostgreSQL still run {', '.join(map(str, left))}",
            changed=True,
            next_step="let its fence agent switch the host off (method agent)",
        )
    without = "" if marked else ", but it could not be marked as fenced"
    if held := _processes(member):
        closed = "closed" if _hung_up(member, run) else "still open"
        waiting = f"{len(held)} killed processes are left that wait for its storage, to end then"
        return True, f"of PostgreSQL on {name}, {waiting}, its port is {closed}, its unit is masked{without}"
    state = _state(member, run)
    return True, f"no postmaster runs on {name}, its unit is masked, its control file says '{state}'{without}"


def undo_host(member: t.Mapping[str, t.Any], *, check_mode: bool, run: Runner) -> tuple[bool, str]:
    """Take mask and mark away, so that the member can be started again."""
    changed = _masked(member, run) or MARK.exists()
    if changed and not check_mode:
        run(["systemctl", "unmask", member["unit"]], timeout=10)
        run(["systemctl", "unmask", "--runtime", member["unit"]], timeout=10)
        MARK.unlink(missing_ok=True)
    return changed, f"{member['name']} {'would not be' if changed and check_mode else 'is not'} fenced"


def _mark() -> bool:
    """Leave the mark. A disk that is full or broken must not keep this member from being fenced."""
    try:
        MARK.write_text(f"{utc_now()}\n", encoding="utf-8")
    except OSError:
        return MARK.exists()
    return True


def _masked(member: t.Mapping[str, t.Any], run: Runner) -> bool:
    answer = run(["systemctl", "is-enabled", member["unit"]], timeout=10, check=False)
    return answer.stdout.startswith("masked")


def _mask(member: t.Mapping[str, t.Any], run: Runner) -> None:
    """For good; where the disk does not take that, until the next boot."""
    try:
        run(["systemctl", "mask", member["unit"]], timeout=10)
    except CommandError:
        run(["systemctl", "mask", "--runtime", member["unit"]], timeout=10)


def _stop(member: t.Mapping[str, t.Any], timeout: float, run: Runner) -> None:
    """A shutdown that takes too long, as on frozen storage or in a stopped process, is ended by SIGKILL."""
    try:
        run(["systemctl", "stop", member["unit"]], timeout=timeout)
    except CommandError:
        run(["systemctl", "kill", "--signal=SIGKILL", member["unit"]], timeout=10, check=False)
        _vanished(member)


def _vanished(member: t.Mapping[str, t.Any]) -> None:
    """Give what was killed a moment. Whatever is left is found, and named, by whoever looks for the proof."""
    try:
        poll(
            lambda: None if _living(member) else True,
            timeout=VANISH_SECONDS,
            interval=POLL_SECONDS,
            what="PostgreSQL vanishes after SIGKILL",
        )
    except UnknownError:
        return


def _stop_behind_patroni(member: t.Mapping[str, t.Any], timeout: float, run: Runner) -> None:
    """Stop Patroni, which leaves PostgreSQL running where it is paused, then PostgreSQL."""
    _stop(member, timeout, run)
    if not _living(member):
        return
    argv = [f"{member['bin_dir']}/pg_ctl", "stop", "--mode=fast", f"--pgdata={member['data_dir']}", "--silent"]
    try:
        run([*argv, f"--timeout={timeout:.0f}"], timeout=timeout + 5, user=member["os_user"])
    except CommandError:
        run(["systemctl", "kill", "--signal=SIGKILL", member["unit"]], timeout=10, check=False)
        run(["systemctl", "kill", "--signal=SIGKILL", member["server_unit"]], timeout=10, check=False)
        _vanished(member)


def _processes(member: t.Mapping[str, t.Any]) -> list[int]:
    """The pids of this data directory's PostgreSQL: its postmaster, and backends that outlived it.

    Each of them works in the data directory, which the kernel tells without touching storage that may be frozen.
    """
    return sorted(int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit() and _is_of(entry, member))


def _living(member: t.Mapping[str, t.Any]) -> list[int]:
    """Those of them that may still do something."""
    return [pid for pid in _processes(member) if not _killed(PROC / str(pid))]


def _is_of(process: Path, member: t.Mapping[str, t.Any]) -> bool:
    try:
        status = (process / "status").read_text(encoding="utf-8")
        if not status.startswith("Name:\tpostgres") or "\nState:\tZ" in status:
            return False  # A zombie holds nothing any more.
        data_dir: str = os.path.realpath(member["data_dir"])
        try:
            return str((process / "cwd").readlink()) == data_dir
        except PermissionError:
            # The root of a container may not look; the unit, or the postmaster's own arguments, tell it as well.
            given = (process / "cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
            group = (process / "cgroup").read_text(encoding="utf-8")
            return bool({member["data_dir"], data_dir} & set(given)) or member["unit"] in group
    except (FileNotFoundError, ProcessLookupError):
        return False  # It ended meanwhile.


def _hung_up(member: t.Mapping[str, t.Any], run: Runner) -> bool:
    """Close what they hold open, and say whether it is.

    The kernel goes on taking connections for a process that cannot end: a standby that asks it first for its primary,
    or a backup that asks every member, waits for the answer for ever.
    """
    Path(member["socket_dir"], f".s.PGSQL.{member['port']}").unlink(missing_ok=True)
    port = ["sport", "=", f":{member['port']}"]
    run(["ss", "--kill", "--tcp", "--all", *port], timeout=10, check=False)
    return not run(["ss", "--no-header", "--tcp", "--listening", *port], timeout=10, check=False).stdout.strip()


def _killed(process: Path) -> bool:
    """Does the kernel keep it for storage only? With SIGKILL pending it sends nothing any more once that answers."""
    try:
        status = dict(re.findall(r"^(\w+):\s+(\S+)", (process / "status").read_text(encoding="utf-8"), re.MULTILINE))
    except (FileNotFoundError, ProcessLookupError):
        return True
    pending = int(status.get("SigPnd", "0"), 16) | int(status.get("ShdPnd", "0"), 16)
    return status["State"] == "D" and bool(pending & 1 << (signal.SIGKILL - 1))


def _state(member: t.Mapping[str, t.Any], run: Runner) -> str:
    argv = [f"{member['bin_dir']}/pg_controldata", "--pgdata", member["data_dir"]]
    found = CLUSTER_STATE.search(run(argv, timeout=10, check=False).stdout)
    return found.group(1) if found else "unreadable"

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a stopped member as a standby."""

from __future__ import annotations

import os
import re
import shutil
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.promotion import UNPROTECTED, create_slots
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandError,
    RefusedError,
    ResilienceError,
    UnknownError,
)

POLL_SECONDS = 0.2
#: A slot of a time as primary would hold WAL back for ever: nobody streams from here now.
STALE_SLOTS = "FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active AND restart_lsn IS NOT NULL"
COUNT_SLOTS = f"SELECT count(*) {STALE_SLOTS}"
DROP_SLOTS = f"SELECT count(pg_drop_replication_slot(slot_name)) {STALE_SLOTS}"
#: A setting of a recovery that was to end somewhere.
TARGET = re.compile(r"\s*recovery_target\w*\s*=")
#: What systemd says of a unit that is neither running nor on its way.
DOWN = ("inactive", "failed")


def start_as_standby(member: t.Mapping[str, t.Any], timeout: float, *, check_mode: bool, run: Runner) -> bool:
    """Make sure that the member runs as a standby whose slots hold nothing back. True if something had to be done.

    :raises RefusedError: it runs as a primary, or is down and has no data.
    :raises UnknownError: it runs and does not say as what, or was started and did not become a standby in time.
    """
    server = LocalServer.of(member, run)
    role = _settled(server, member["unit"], timeout)
    if role is False:
        raise RefusedError(
            f"{member['name']} runs as a primary",
            possible="a standby, or a member that is stopped",
            next_step="move the primary with the playbook switchover, or fence it if another one is primary",
        )
    if role is None and not (Path(member["data_dir"]) / "global" / "pg_control").exists():
        raise RefusedError(
            f"{member['name']} has no data to start as a standby with",
            given=f"{member['data_dir']} without global/pg_control",
            next_step="build it from the repository with the playbook rejoin",
        )
    if check_mode:
        return role is None or server.value(COUNT_SLOTS) != "0"
    if role is None:
        _start(server, member, timeout)
    slots = int(server.value(DROP_SLOTS)) + int(server.value(create_slots(member)))
    return role is None or slots > 0


def resume(
    member: t.Mapping[str, t.Any], said: t.Mapping[str, t.Any], timeout: float, *, check_mode: bool, run: Runner
) -> bool:
    """Start the member as a standby, if an earlier switchover stopped it and got no further. True if it had.

    :param said: what the program that stops a primary said last.
    """
    stopped = said.get("state") == "stopped" and (Path(member["data_dir"]) / "standby.signal").exists()
    if (
        not stopped
        or run(["systemctl", "is-active", member["unit"]], timeout=10, check=False).stdout.strip() not in DOWN
    ):
        return False
    return start_as_standby(member, timeout, check_mode=check_mode, run=run)


def in_recovery(server: LocalServer) -> bool | None:
    """True for a standby, False for a primary, None where nobody answers."""
    try:
        return server.value("SELECT pg_is_in_recovery()") == "t"
    except CommandError:
        return None


def _settled(server: LocalServer, unit: str, timeout: float) -> bool | None:
    """As :func:`in_recovery`; but None only where the unit is down, not where it starts, stops or hangs."""

    def settled() -> tuple[bool | None] | None:
        role = in_recovery(server)
        if role is not None:
            return (role,)
        state = server.run(["systemctl", "is-active", unit], timeout=10, check=False).stdout.strip()
        return (None,) if state in DOWN else None

    try:
        return poll(settled, timeout=timeout, interval=POLL_SECONDS, what=f"{unit} answers, or is down")[0]
    except UnknownError as error:
        error.next_step = f"see why with systemctl status {unit}; what hangs is ended by module fencing, method host"
        raise


def forget_target(data_dir: Path) -> bool:
    """Remove the target of an earlier recovery from a stopped member's own settings. True if there was one.

    PostgreSQL keeps it after that recovery, pg_rewind brings the primary's along, and a standby would stop there.
    """
    settings = data_dir / "postgresql.auto.conf"
    lines = settings.read_text(encoding="utf-8").splitlines(keepends=True) if settings.exists() else []
    kept = [line for line in lines if not TARGET.match(line)]
    if len(kept) == len(lines):
        return False
    unfinished = settings.with_suffix(".unfinished")
    unfinished.write_text("".join(kept), encoding="utf-8")
    shutil.copymode(settings, unfinished)
    owner = settings.stat()
    os.chown(unfinished, owner.st_uid, owner.st_gid)
    unfinished.replace(settings)
    return True


def _start(server: LocalServer, member: t.Mapping[str, t.Any], timeout: float) -> None:
    forget_target(Path(member["data_dir"]))
    # Whatever an earlier operation left to go on with ends here.
    UNPROTECTED.unlink(missing_ok=True)
    Path(armed.DEMOTION.state_file).unlink(missing_ok=True)
    signal = Path(member["data_dir"]) / "standby.signal"
    signal.touch()
    shutil.chown(signal, member["os_user"], member["os_user"])
    try:
        server.run(["systemctl", "start", member["unit"]], timeout=timeout)
        # It may answer for nobody at first; what it answers then is what it is.
        standby = poll(
            lambda: in_recovery(server), timeout=timeout, interval=POLL_SECONDS, what=f"{member['name']} is a standby"
        )
    except ResilienceError as error:
        error.changed = True
        error.next_step = f"read PostgreSQL's log on {member['name']}; if its history diverged, run playbook rejoin"
        raise
    if not standby:
        raise UnknownError(
            f"{member['name']} was started as a standby and is a primary",
            changed=True,
            next_step="fence it at once with module fencing, unless it is the only primary",
        )

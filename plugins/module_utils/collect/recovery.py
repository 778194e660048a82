# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a restored member and watches its recovery until it has ended. Facts out; they are judged elsewhere."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline, poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import fencing
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import (
    fatal_lines,
    history_file_name,
)

#: Seconds between two looks at a recovering server; a look costs about 30 ms.
POLL_SECONDS = 0.1
#: What a restore writes into postgresql.auto.conf.
LEFT_SETTINGS = """
SELECT string_agg(DISTINCT name, ' ') FROM pg_file_settings
 WHERE sourcefile LIKE '%/postgresql.auto.conf' AND (name = 'restore_command' OR name LIKE 'recovery\\_target%')
"""
#: Bytes of the server's log that are read back when a recovery died.
LOG_TAIL_BYTES = 64 * 1024


class RecoveryDied(UnknownError):
    """The server ended before its recovery did; ``reasons`` are its own last words."""

    def __init__(self, reasons: t.Sequence[str]) -> None:
        super().__init__(
            "the server ended before its recovery did: " + (" | ".join(reasons) or "its log names no reason"),
            changed=True,
            next_step="correct the cause and run the restore again; the data from before it are kept",
        )


@dataclass(frozen=True)
class Member:
    """What of a member's descriptor this needs."""

    name: str
    unit: str
    bin_dir: str
    data_dir: str
    socket_dir: str
    port: int
    os_user: str
    log_file: str


def start(member: Member, *, run: Runner) -> bool:
    """Take away the fence that the restore stood behind, and ask systemd to start the unit. True if it did not run.

    It is not waited for: only :func:`await_end` knows when a recovery has ended.
    """
    if is_started(member, run=run):
        return False
    fencing.undo_host({"name": member.name, "unit": member.unit}, check_mode=False, run=run)
    run(["systemctl", "reset-failed", member.unit], timeout=10, check=False)
    run(["systemctl", "start", "--no-block", member.unit], timeout=10)
    return True


def is_started(member: Member, *, run: Runner) -> bool:
    """Is the member's unit running, or about to?"""
    return _unit_state(member, run) in ("active", "activating")


def await_end(member: Member, *, timeout: float, run: Runner) -> None:
    """Wait until the server has left recovery.

    Consistency is not the end: a server answers queries at consistency and may die a second later.

    :raises RecoveryDied: the unit ended or failed meanwhile.
    :raises UnknownError: ``timeout`` seconds passed.
    """
    log_begin = _size(member.log_file)
    settle = Deadline(5)

    def ended() -> bool | None:
        if _in_recovery(member, run) is False:
            return True
        if _unit_state(member, run) in ("failed", "inactive") and settle.expired():
            raise RecoveryDied(fatal_lines(_read_from(member.log_file, log_begin)))
        return None

    poll(ended, timeout=timeout, interval=POLL_SECONDS, what=f"the recovery on {member.unit} ends")


def timeline(member: Member, *, run: Runner) -> int:
    """The timeline that the member writes now."""
    statement = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
    return int(_server(member, run).value(statement))


def forget_target(member: Member, *, run: Runner) -> list[str]:
    """Remove the recovery's own settings, and say which: with them, this member could never follow another one.

    PostgreSQL keeps them after a recovery has ended, and obeys them again when the member is next a standby.
    """
    server = _server(member, run)
    left = server.value(LEFT_SETTINGS).split()
    for name in left:
        server.value(f"ALTER SYSTEM RESET {name}")
    if left:
        server.value("SELECT pg_reload_conf()")
    return left


def read_history(member: Member, number: int) -> str:
    """The text of a timeline's history file, from the member's own WAL directory.

    :raises UnknownError: it is not there.
    """
    path = Path(member.data_dir) / "pg_wal" / history_file_name(number)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnknownError(
            f"where the recovery ended cannot be proven: {error.strerror}: {path}",
            changed=True,
            next_step="see that this member was restored by the playbook restore, and not otherwise",
        ) from error


def _server(member: Member, run: Runner) -> LocalServer:
    return LocalServer(member.bin_dir, member.socket_dir, member.port, member.os_user, run)


def _in_recovery(member: Member, run: Runner) -> bool | None:
    try:
        return _server(member, run).value("SELECT pg_is_in_recovery()") == "t"
    except CommandError:
        return None


def _unit_state(member: Member, run: Runner) -> str:
    return run(["systemctl", "is-active", member.unit], timeout=10, check=False).stdout.strip()


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0


def _read_from(path: str, begin: int) -> str:
    try:
        with open(path, "rb") as log:
            size = _size(path)
            # A log that is shorter than it was has been rotated: all of it is new.
            log.seek(max(begin if begin <= size else 0, size - LOG_TAIL_BYTES))
            return log.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""

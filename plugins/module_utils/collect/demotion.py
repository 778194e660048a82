# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a stopped member as a standby."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.promotion import create_slots
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, RefusedError

POLL_SECONDS = 0.2
#: A slot of a time as primary would hold WAL back for ever: nobody streams from here now.
DROP_SLOTS = """
SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots
 WHERE slot_type = 'physical' AND NOT active AND restart_lsn IS NOT NULL
"""


def start_as_standby(member: t.Mapping[str, t.Any], timeout: float, *, check_mode: bool, run: Runner) -> bool:
    """Make sure that the member runs as a standby. True if it did not.

    :raises RefusedError: it runs as a primary.
    """
    server = LocalServer.of(member, run)
    role = in_recovery(server)
    if role is False:
        raise RefusedError(
            f"{member['name']} runs as a primary",
            next_step="move the primary with the playbook switchover, or fence it if another one is primary",
        )
    if role is None and not check_mode:
        signal = Path(member["data_dir"]) / "standby.signal"
        signal.touch()
        shutil.chown(signal, member["os_user"], member["os_user"])
        run(["systemctl", "start", member["unit"]], timeout=timeout)
        poll(lambda: in_recovery(server), timeout=timeout, interval=POLL_SECONDS, what=f"{member['name']} is a standby")
    if not check_mode:
        server.value(DROP_SLOTS)
        server.value(create_slots(member))
    return role is None


def in_recovery(server: LocalServer) -> bool | None:
    """True for a standby, False for a primary, None where nobody answers."""
    try:
        return server.value("SELECT pg_is_in_recovery()") == "t"
    except CommandError:
        return None

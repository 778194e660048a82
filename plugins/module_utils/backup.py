# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a backup: whoever runs is waited for, and so is a new primary's first checkpoint; then pgBackRest is let go.

Module pgbackrest_backup and the program of role backup both take backups by this code.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    RefusedError,
    UnknownError,
)

TYPES = ("full", "diff", "incr")
#: Pages are read from the primary, whatever is configured.
FROM_PRIMARY = "--no-backup-standby"
#: What it says of a primary that has not taken its first checkpoint since it was promoted.
BEFORE_CHECKPOINT = "does not match pg_control timeline"


@dataclass(frozen=True)
class Taken:
    """A backup that pgBackRest has ended well. ``said`` is what it logged to its output at the level asked for."""

    backup: pgbackrest.Backup
    seconds: float
    waited: float
    warnings: tuple[str, ...]
    said: str


def take(
    client: pgbackrest.Client,
    repo: int,
    kind: str,
    *,
    deadline: Deadline,
    timeout: float,
    options: t.Sequence[str] = (),
    level: str = "off",
    sleep: t.Callable[[float], None] = time.sleep,
) -> Taken:
    """Take one backup.

    :param kind: one of TYPES; without a full backup before it, pgBackRest makes any of them a full one.
    :param deadline: until when another backup, or a new primary's first checkpoint, is waited for.
    :param timeout: seconds that the backup may take.
    :raises RefusedError: another backup still runs at the deadline.
    :raises UnknownError: pgBackRest ended well, but shows no new backup.
    """
    begin = time.monotonic()
    while True:
        wait_until_free(client, repo, deadline, sleep)
        labels = {backup.label for backup in seen(client, repo).backups_of(repo)}
        waited = time.monotonic() - begin
        try:
            done = client.call(f"--repo={repo}", f"--type={kind}", *options, "backup", timeout=timeout, level=level)
            break
        except CommandFailed as error:
            if not passes(error) or deadline.expired():
                raise
            sleep(1.0)
    new = [backup for backup in client.info(repo).backups_of(repo) if backup.label not in labels]
    if not new:
        raise UnknownError(f"pgbackrest ended well, but repository {repo} shows no new backup", changed=True)
    warnings = tuple(line.split("WARN:", 1)[1].strip() for line in done.stderr.splitlines() if "WARN:" in line)
    return Taken(new[-1], round(done.seconds, 3), round(waited, 3), warnings, done.stdout)


def passes(error: CommandFailed) -> bool:
    """Is it only a matter of time?"""
    return error.rc == pgbackrest.LOCKED or BEFORE_CHECKPOINT in error.stderr_tail


def seen(client: pgbackrest.Client, repo: int) -> pgbackrest.Stanza:
    """One repository, which can be read."""
    stanza = client.info(repo)
    pgbackrest.demand_readable(stanza, [repo])
    return stanza


def wait_until_free(
    client: pgbackrest.Client, repo: int, deadline: Deadline, sleep: t.Callable[[float], None]
) -> float:
    """Wait until no backup of the stanza runs. The seconds that it took.

    :raises RefusedError: when one still runs at the deadline.
    """
    begin = time.monotonic()
    while True:
        stanza = seen(client, repo)
        if not stanza.backup_running:
            return round(time.monotonic() - begin, 3)
        if deadline.expired():
            progress = "" if stanza.percent_complete is None else f", {stanza.percent_complete:.0f} % done"
            raise RefusedError(
                f"another backup of stanza {stanza.name} is running{progress}",
                next_step="wait for its end, or give this one a longer wait",
            )
        sleep(min(2.0, max(0.1, deadline.left())))

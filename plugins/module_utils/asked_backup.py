# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that a person has asked for: the timer's own service, started now, and how far it is."""

from __future__ import annotations

import json
import time
import uuid

from ansible_collections.fraiseql.resilience.plugins.module_utils import backup, command
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.catalogue import Line, replace
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backups as judge
from ansible_collections.fraiseql.resilience.plugins.module_utils.scheduled_backup import Host

#: Percent that a look waits for.
STEP = 10.0
#: Seconds that a service has to begin.
START_SECONDS = 30.0


def ask(host: Host, repo: int, wanted: str, *, check: bool) -> Line:
    """Have the service run now.

    :raises RefusedError: a backup into this repository runs.
    """
    running = at_work(repo)
    stanza = backup.seen(host.client, repo)
    if running or stanza.backup_running:
        told = f", {stanza.percent_complete:.0f} % done" if stanza.percent_complete is not None else ""
        raise RefusedError(
            f"a backup is running already: {', '.join(running) or 'pgbackrest backup'}{told}",
            next_step="wait for its end; backup progress tells how far it is",
        )
    own = [one for one in stanza.backups_of(repo) if not one.error]
    there = {"last": own[-1].label if own else None, "would_take": wanted if own else "full"}
    if check:
        return {**there, "asked": None}
    token = str(uuid.uuid4())
    replace(host.requested(repo, wanted), json.dumps({"token": token, "at": time.time()}))
    command.run(["systemctl", "start", "--no-block", unit(repo, wanted)], timeout=30)
    return {**there, "asked": token}


def at_work(repo: int) -> list[str]:
    """Units of a repository that run."""
    argv = ["systemctl", "list-units", "--plain", "--no-legend", "--state=activating,active,deactivating"]
    return [line.split()[0] for line in command.run([*argv, unit(repo, "*")], timeout=30).stdout.splitlines()]


def progress(host: Host, repo: int, wanted: str, token: str, *, beyond: float, wait: float) -> Line:
    """Wait until the run is at least a tenth further than ``beyond`` percent, or over, or ``wait`` seconds passed."""
    deadline = Deadline(wait)
    while True:
        # In this order: one that begins between the two is seen by the second.
        running = about_to_begin(host, repo, wanted) or unit(repo, wanted) in at_work(repo)
        line = next((one for one in host.lines(repo) if one.get("asked") == token), None)
        percent = backup.seen(host.client, repo).percent_complete if running else None
        if not running or (percent or 0.0) >= beyond + STEP or deadline.expired():
            break
        time.sleep(min(1.0, max(0.05, deadline.left())))
    marker = host.catalogue.began(repo) or {}
    elapsed = max(0.0, time.time() - judge.seconds(marker["began_utc"])) if marker.get("began_utc") else 0.0
    left = judge.time_left(elapsed, percent)
    return {
        "running": running, "percent": percent, "elapsed_seconds": round(elapsed),
        "left_seconds": None if left is None else round(left), "line": line,
    }  # fmt: skip


def about_to_begin(host: Host, repo: int, wanted: str) -> bool:
    """Whether the service has yet to take the request up."""
    try:
        return time.time() - host.requested(repo, wanted).stat().st_mtime < START_SECONDS
    except OSError:
        return False


def unit(repo: int, wanted: str) -> str:
    return f"resilience-backup@{repo}-{wanted}.service"

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository that is lost, left out of a member's pgBackRest configuration, and taken back with the WAL it missed.

pgBackRest waits for each repository as long as its timeouts allow, at each segment that is pushed or asked for. One
that is gone for hours would slow a promotion down to a minute, and keep WAL on the only member that is left until its
disk is full. Its lines stay in the file as comments, so that they can be put back as they were, and a mark stays until
the repository has got what it missed.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import tempfile
import typing as t
from dataclasses import replace
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import (
    LOCKED,
    Client,
    Stanza,
    demand_readable,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    InputError,
    ResilienceError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.generations import serves

PREFIX = "# lost: "
PROC = Path("/proc")
#: One file for each repository that is left out here, or has not got yet what it missed.
MARKS = Path("/var/lib/fraiseql-resilience")
#: Seconds to ask again while another archive-push holds the archive's lock, which each holds for a segment.
LOCK_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.5
#: A segment or a history, as the archive calls it; anything else is left where it is.
NAMED = re.compile(r"(?:^|/)([0-9A-F]{24})-[0-9a-f]{40}(?:\.[a-z0-9]+)?\Z|(?:^|/)([0-9A-F]{8}\.history)\Z")


def without(configuration: str, repo: int) -> str:
    """The configuration with the repository's lines made comments, and those of earlier keys in the same place."""
    return re.sub(rf"^(repo\d*{repo}-)", rf"{PREFIX}\1", configuration, flags=re.MULTILINE)


def with_again(configuration: str, repo: int) -> str:
    """The configuration as it was."""
    return re.sub(rf"^{re.escape(PREFIX)}(repo\d*{repo}-)", r"\1", configuration, flags=re.MULTILINE)


def repositories(configuration: str) -> list[int]:
    """Numbers of the repositories that are in use."""
    return sorted(
        {int(number) for number in re.findall(r"^repo(\d+)-(?:host|path|type)\s*=", configuration, re.MULTILINE)}
    )


def demand_another(configuration: str, repo: int) -> None:
    """:raises InputError: it is the only repository, so WAL would go nowhere."""
    others = [number for number in repositories(configuration) if serves(number) and number != repo]
    if not others:
        raise InputError(
            f"repository {repo} is the only one that this host has, so it cannot be left out",
            given=f"repositories {', '.join(map(str, repositories(configuration))) or 'none'}",
            next_step="give the cluster a second repository (pgbackrest_s3_endpoint), or make this one answer",
        )


def mark(repo: int) -> Path:
    return MARKS / f"lost-repository-{repo}"


def answers(client: Client, configuration: str, path: Path, repo: int) -> bool:
    """Could the repository be asked, if it were in use again?"""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        shutil.copystat(path, name)
        status = path.stat()
        os.chown(name, status.st_uid, status.st_gid)
        Path(name).write_text(configuration, encoding="utf-8")
        asked = replace(client, options=(*client.options, f"--config={name}"))
        demand_readable(asked.info(repo), [repo])
    except ResilienceError:
        return False
    finally:
        os.unlink(name)
    return True


def write(path: Path, text: str) -> None:
    """At once, with owner and mode of the file that was there."""
    status = path.stat()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), status.st_mode & 0o7777)
        os.fchown(file.fileno(), status.st_uid, status.st_gid)
    os.replace(name, path)


def end_waiting(client: Client) -> int:
    """End what asks the archive for WAL already, and so waits for the lost repository still. How many.

    PostgreSQL takes that for no answer, and asks again.
    """
    count = 0
    for entry in PROC.iterdir():
        if entry.name.isdigit() and _asks_archive(entry, client):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGTERM)
                count += 1
    return count


def _asks_archive(process: Path, client: Client) -> bool:
    try:
        argv = (process / "cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return False  # It ended meanwhile.
    return Path(argv[0]).name == client.program and f"--stanza={client.stanza}" in argv and "archive-get" in argv


def missed(client: Client, stanza: Stanza, repo: int, source: int) -> list[str]:
    """What ``source`` has and ``repo`` has not, from the first segment on that ``repo`` still has; oldest first.

    One that was made anew needs none: no backup in it is older than it is.
    """
    held, offered = (_names(client, stanza, number) for number in (repo, source))
    segments = [name for name in held if len(name) == 24]
    first = min((name[8:] for name in segments), default="no segment")
    return sorted(name for name in offered - held if len(name) != 24 or name[8:] >= first)


def refill(client: Client, names: t.Iterable[str], source: int) -> int:
    """Get each of them from ``source`` and push it to all repositories. How many.

    :raises UnknownError: ``source`` lists one that it does not give.
    """
    count = 0
    with tempfile.TemporaryDirectory(prefix="resilience-refill-") as folder:
        if client.user is not None:
            _give(folder, client.user)
        for name in names:
            path = os.path.join(folder, name)
            client.call(f"--repo={source}", "archive-get", name, path)
            if not os.path.exists(path):
                raise UnknownError(f"repository {source} lists {name} and does not give it", changed=count > 0)
            _push(client, path)
            os.unlink(path)
            count += 1
    return count


def _push(client: Client, path: str) -> None:
    """Push it once nobody else pushes.

    :raises UnknownError: somebody did all the time.
    """

    def pushed() -> bool | None:
        try:
            client.call("--no-archive-async", "archive-push", path)
        except CommandFailed as error:
            if error.rc != LOCKED:
                raise
            return None
        return True

    name = os.path.basename(path)
    poll(pushed, timeout=LOCK_SECONDS, interval=LOCK_POLL_SECONDS, what=f"no other archive-push keeps {name} back")


def _names(client: Client, stanza: Stanza, repo: int) -> set[str]:
    archive = stanza.archive(repo)
    if archive is None:
        return set()
    matches = (NAMED.search(path) for path in client.files(repo, f"archive/{stanza.name}/{archive.name}"))
    return {match[1] or match[2] for match in matches if match}


def _give(folder: str, user: str) -> None:
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away restore, which can never hurt the cluster that it is a copy of.

    <root>/lock                 held as long as one verifies
    <root>/restore-xxxxxxxx/    pgbackrest.conf  of one repository alone, without a member
                                data  tablespaces  socket  lock  spool  server.log

It archives nothing, follows nobody, listens on a socket in its own folder, and asks the repository only to read. What
it starts ends with the process that made it, however that ends; what is left in ``root`` then, the next one removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import shutil
import signal
import tempfile
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Backup, Client, lsn_text
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner, leashed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError

STATE = Path("/var/lib/fraiseql-resilience")
ROOT = STATE / "scratch"
CONFIGURATION = "/etc/pgbackrest.conf"
RESTORE_WAL = "/usr/local/lib/fraiseql-resilience/restore_wal.py"
PREFIX = "restore-"
PROC = Path("/proc")
#: What a restore needs beside the database itself: as a part of it, and in bytes for WAL and temporary files.
ROOM = 1.1
ROOM_BYTES = 768 * 2**20
#: PostgreSQL's limit for the path of a socket, less the name that it gives it.
SOCKET_PATH = 107 - len("/.s.PGSQL.5432")
#: Options of this host's configuration that speed up or bound a restore and concern no repository.
KEPT = re.compile(r"(process-max|job-retry|io-timeout|protocol-timeout|buffer-size|db-timeout)\s*=")
#: Options of a repository that only matter to who writes into it.
WRITERS = ("retention-", "bundle", "block", "hardlink", "symlink")


@dataclass(frozen=True)
class Place:
    """Where throw-away restores are made on this host, by whom and with which programs.

    ``configuration`` is the host's own pgBackRest configuration, from which the repository's options are taken;
    ``state`` holds the catalogue of backups, and what was found before.
    """

    bin_dir: str
    user: str = "postgres"
    root: Path = ROOT
    configuration: str = CONFIGURATION
    restore_wal: str = RESTORE_WAL
    state: Path = field(default_factory=lambda: STATE)

    def free_bytes(self) -> int:
        existing = next(path for path in (self.root, *self.root.parents) if path.exists())
        room = os.statvfs(existing)
        return room.f_bavail * room.f_frsize


@dataclass(frozen=True)
class Request:
    """Where the recovery is to end: before the first record that begins at or after ``lsn``."""

    backup: Backup
    lsn: int
    timeline: int

    @property
    def replayed_bytes(self) -> int:
        """WAL from the backup's start to the target."""
        return max(0, self.lsn - self.backup.start_lsn)

    @property
    def needed_bytes(self) -> int:
        """Room on the disk. What is replayed may grow the database by as much."""
        return int(self.backup.size * ROOM) + self.replayed_bytes + ROOM_BYTES


@dataclass(frozen=True)
class Scratch:
    """One throw-away restore."""

    folder: Path
    place: Place
    client: Client
    run: Runner
    env: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def restore(self, request: Request, *, timeout: float) -> float:
        """Restore the backup's files, and describe the recovery to come. Seconds that it took.

        :raises CommandError: pgBackRest did not; its own words are in ``stderr_tail``.
        """
        # Received WAL, which a restore of the real thing would take too, is no proof that the repository has it.
        options = f"--stanza={self.client.stanza} --received={self.folder}/none"
        done = self.client.call(
            f"--set={request.backup.label}",
            "--archive-mode=off",
            "--type=lsn",
            f"--target={lsn_text(request.lsn)}",
            "--target-exclusive",
            f"--target-timeline={request.timeline}",
            "--target-action=promote",
            f"--tablespace-map-all={self.folder}/tablespaces",
            f'--recovery-option=restore_command={self.place.restore_wal} {options} %f "%p"',
            "restore",
            timeout=timeout,
        )
        return done.seconds


def demand_room(place: Place, request: Request) -> dict[str, int]:
    """Bytes that the restore needs, and bytes that there are.

    :raises RefusedError: there are too few. Nothing was restored.
    """
    needed, free = request.needed_bytes, place.free_bytes()
    if free < needed:
        raise RefusedError(
            f"the disk of {place.root} is too small for backup {request.backup.label} of {request.backup.size} bytes",
            given=f"{free // 2**20} MB free",
            possible=f"{-(-needed // 2**20)} MB or more",
            next_step="make room there, or verify on a host that has it",
        )
    return {"needed_bytes": needed, "free_bytes": free}


@contextlib.contextmanager
def alone(place: Place, *, timeout: float) -> t.Iterator[None]:
    """While nobody else verifies on this host, and with nothing left of one who was cut off.

    :raises UnknownError: somebody else still does after ``timeout`` seconds.
    """
    make(place.root, place.user)
    with open(place.root / "lock", "ab") as lock:
        poll(
            lambda: _locked(lock.fileno()),
            timeout=timeout,
            interval=1.0,
            what=f"another verification in {place.root} ends",
        )
        clean(place.root)
        yield


@contextlib.contextmanager
def made(place: Place, stanza: str, repo: int, *, run: Runner, keep: bool = False) -> t.Iterator[Scratch]:
    """A folder for one restore from one repository, removed with all that is in it.

    :param keep: what failed is left for a look; the next one removes it all the same.
    """
    make(place.root, place.user)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place.root))
    if len(str(folder / "socket")) > SOCKET_PATH:
        folder.rmdir()
        raise InputError("the path is too long for a socket", given=str(place.root), possible="60 characters at most")
    well = False
    try:
        give(folder, place.user)
        for name in ("data", "tablespaces", "socket", "lock", "spool"):
            make(folder / name, place.user)
        host = Path(place.configuration).read_text(encoding="utf-8")
        _write(folder / "pgbackrest.conf", configuration(host, stanza, repo, folder), place.user)
        own = leashed(run)
        client = Client(own, stanza, user=place.user, options=(f"--config={folder}/pgbackrest.conf",))
        yield Scratch(folder, place, client, own, {"PGBACKREST_CONFIG": f"{folder}/pgbackrest.conf"})
        well = True
    finally:
        if well or not keep:
            shutil.rmtree(folder, ignore_errors=True)


def configuration(host: str, stanza: str, repo: int, folder: Path) -> str:
    """A configuration that knows one repository and a restore's own folder; no member, and no other repository.

    :raises InputError: the host's own configuration has no such repository.
    """
    kept = []
    for line in host.splitlines():
        option = line.strip()
        own = re.match(rf"repo{repo}-(\S+?)\s*=", option)
        if (own and not own[1].startswith(WRITERS)) or KEPT.match(option):
            kept.append(option)
    if not any(line.startswith(f"repo{repo}-") for line in kept):
        raise InputError(f"this host's configuration of pgBackRest has no repository {repo}")
    return "\n".join(
        [
            # An earlier key's repository stands in several sections.
            "[global]", *dict.fromkeys(kept), "archive-async=n", "log-level-file=off",
            f"lock-path={folder}/lock", f"spool-path={folder}/spool", f"[{stanza}]", f"pg1-path={folder}/data", "",
        ]
    )  # fmt: skip


def passphrase(host: str, repo: int) -> str | None:
    """The repository's passphrase as this host's configuration has it; None where it is not encrypted."""
    found = re.search(rf"^\s*repo{repo}-cipher-pass\s*=\s*(.+?)\s*$", host, re.MULTILINE)
    return found[1] if found else None


def clean(root: Path) -> list[str]:
    """End and remove what a verification that was cut off left in ``root``. Names of its folders."""
    left = sorted(root.glob(f"{PREFIX}*"))
    if left:
        _end_all(str(root / PREFIX))
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in left]


def histories(client: Client, repo: int) -> dict[str, str]:
    """Every timeline's history in the repository's archive, with its text: what a restore that got out would add to."""
    archive = client.info(repo).archive(repo)
    if archive is None:
        return {}
    folder = f"archive/{client.stanza}/{archive.name}"
    names = [name for name in client.files(repo, folder, recurse=False) if name.endswith(".history")]
    return {name: client.read(repo, f"{folder}/{name}") for name in sorted(names)}


def _end_all(words: str) -> None:
    """Kill whatever was started with a path of a scratch folder: server, restore, check."""
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if words in (entry / "cmdline").read_text(encoding="utf-8", errors="replace"):
                os.kill(int(entry.name), signal.SIGKILL)


def _locked(descriptor: int) -> bool | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return True


def make(folder: Path, user: str, mode: int = 0o700) -> None:
    """A folder that belongs to ``user``; one that is there is left as it is."""
    if not folder.exists():
        folder.mkdir(mode=mode, parents=True)
        give(folder, user)


def give(path: Path, user: str) -> None:
    """Who is not root has made it for itself."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _write(path: Path, text: str, user: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    give(path, user)

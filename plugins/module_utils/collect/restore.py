# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores a member's data from a repository: the old ones aside first, the new ones whole or recognised as cut off.

    restore.json says   data directory        a run finds it and
    (none), restored    any                   keeps or updates it, restores
    restoring           without pg_control    was cut off: goes on, and keeps nothing a second time
    restored            with recovery.signal  never came to its end: the same

pgBackRest writes ``global/pg_control`` last, so a half-restored directory can never start.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import typing as t
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import received_wal, reused_data
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import (
    Backup,
    Client,
    Stanza,
    demand_readable,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import parse_time, utc

STATE = Path("/var/lib/fraiseql-resilience/restore.json")
RESTORE_WAL = "/usr/local/lib/fraiseql-resilience/restore_wal.py"
#: Seconds for one segment, before the guard asks by itself.
GET_SECONDS = 120
#: As in the standby's own configuration (replication.conf): an armed candidate does not ask the archive any more.
STANDBYS_RESTORE_WAL = f"test ! -e /run/resilience-promotion/archive-exhausted && {RESTORE_WAL} --lenient"
SYSTEM_ID = re.compile(r"^Database system identifier:\s+(\d+)$", re.MULTILINE)
#: Types of recovery that stop at a target that has to be named.
TARGETED = frozenset({"time", "lsn", "xid", "name"})
#: Those of them that PostgreSQL can stop just before.
EXCLUSIVE = frozenset({"time", "lsn", "xid"})
#: Room beside the restored files themselves, for the WAL of the recovery.
ROOM = 1.1
#: Bytes that ``st_blocks`` counts by.
DISK_BLOCK = 512


@dataclass(frozen=True)
class Request:
    """What is to be restored. ``repo`` and ``set`` of None leave the choice to pgBackRest."""

    type: str
    target: str | None = None
    exclusive: bool = False
    timeline: int | None = None
    repo: int | None = None
    set: str | None = None
    delta: bool = False
    keep: bool = True
    reuse: bool = True

    def __post_init__(self) -> None:
        if (self.type in TARGETED) != bool(self.target):
            raise InputError(
                f"recovery of type '{self.type}' {'needs' if self.type in TARGETED else 'has no'} target",
                given=self.target,
                possible=f"a target for {', '.join(sorted(TARGETED))}; none for default, immediate, standby",
            )
        if self.exclusive and self.type not in EXCLUSIVE:
            raise InputError(
                f"recovery of type '{self.type}' cannot leave its target out",
                given="exclusive",
                possible=", ".join(sorted(EXCLUSIVE)),
                next_step="leave resilience_restore_exclusive out, or name the target by its LSN",
            )
        if self.type == "time":
            parse_time(self.target or "")

    def options(self, client: Client) -> list[str]:
        """pgBackRest's options for it."""
        options = [f"--type={self.type}", f"--recovery-option=restore_command={self._restore_command(client)}"]
        if self.target:
            # pgBackRest reads one way to write a time, to find the backup, and PostgreSQL many.
            target = utc(parse_time(self.target)) if self.type == "time" else self.target
            options += [f"--target={target}", "--target-action=promote"]
        if self.exclusive:
            options.append("--target-exclusive")
        if self.type == "immediate":
            options.append("--target-action=promote")
        if self.timeline is not None and self.type not in ("standby", "immediate"):
            options.append(f"--target-timeline={self.timeline}")
        if self.set:
            options.append(f"--set={self.set}")
        if self.repo is not None:
            options.append(f"--repo={self.repo}")
        return options

    def _restore_command(self, client: Client) -> str:
        if self.type == "standby":
            return f'{STANDBYS_RESTORE_WAL} %f "%p"'
        # What is there needs no guard, whose start takes half as long again; in all else it looks for itself.
        get = shlex.join(client.argv("--log-level-console=off", "--log-level-stderr=off", "archive-get"))
        return f'timeout --foreground {GET_SECONDS} {get} %f "%p" || {RESTORE_WAL} %f "%p"'


@dataclass(frozen=True)
class Place:
    """The member's data directory and who owns it."""

    data_dir: Path
    bin_dir: str
    unit: str
    os_user: str

    @classmethod
    def of(cls, member: t.Mapping[str, t.Any]) -> Place:
        return cls(Path(member["data_dir"]), member["bin_dir"], member["unit"], member["os_user"])

    def running(self) -> int | None:
        """The pid of a postmaster that uses the directory."""
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text(encoding="utf-8").split()[0])
            alive = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("postgres")
        except (OSError, ValueError, IndexError):
            return None
        return pid if alive else None

    def forget_killed(self) -> None:
        """Remove what a server that was killed left of its number, which may be another process's by now.

        PostgreSQL would take that one for the server, and pgBackRest, too.
        """
        if self.running() is None:
            (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def whole(self) -> bool:
        return (self.data_dir / "global" / "pg_control").exists()

    def system_id(self, run: Runner) -> int | None:
        """The cluster that the present data belong to; None where there are none."""
        if not self.whole():
            return None
        argv = [f"{self.bin_dir}/pg_controldata", "--pgdata", str(self.data_dir)]
        found = SYSTEM_ID.search(run(argv, timeout=10, check=False).stdout)
        return int(found.group(1)) if found else None

    def tablespaces(self) -> list[str]:
        """Where data lie outside of the directory."""
        links = self.data_dir / "pg_tblspc"
        return sorted(os.path.realpath(link) for link in links.iterdir()) if links.is_dir() else []

    def recovers(self) -> bool:
        """A recovery was prepared, and has not ended: what is here is nothing but the repository's."""
        return (self.data_dir / "recovery.signal").exists()

    def used_bytes(self) -> int:
        """What is in the directory already takes up on its own disk."""
        # A folder may go meanwhile, as where a killed run's restore still works while another one plans.
        return sum(
            _disk_bytes(Path(folder, name))
            for folder, folders, files in os.walk(self.data_dir)
            for name in (*folders, *files)
        )

    def free_bytes(self) -> int:
        existing = self.data_dir if self.data_dir.exists() else self.data_dir.parent
        room = os.statvfs(existing)
        return room.f_bavail * room.f_frsize


def plan(place: Place, request: Request, client: Client, run: Runner) -> dict[str, t.Any]:
    """What the restore would do, or why it is refused. Changes nothing.

    :raises RefusedError: the stanza is of another cluster, the disk is too small, or the old data cannot be kept.
    :raises UnknownError: the repository, or whose data are here, cannot be read.
    """
    stanza = client.info(request.repo)
    repo = request.repo or _repository(stanza, request)
    demand_readable(stanza, [repo])
    _demand_same_cluster(place, stanza, repo, run)
    backup = _backup(stanza, repo, request)
    keeps = request.keep and place.whole() and not _taken_up(place, read_state())
    if keeps:
        _demand_keepable(place)
    if keeps or not place.whole():
        _demand_room(place, backup, there=0 if keeps else place.used_bytes())
    return {
        "argv": client.argv(*request.options(client), "restore"),
        "repo": repo,
        "set": request.set or backup.label,
        "started": backup.started,
        "size": backup.size,
        "free": place.free_bytes(),
        "keeps": keeps,
    }


def restore(place: Place, request: Request, client: Client, timeout: float, run: Runner) -> dict[str, t.Any]:
    """Restore, and say where the old data are kept (None if nothing is).

    :raises RefusedError: the server runs, or what :func:`plan` refuses.
    """
    pid = place.running()
    if pid is not None:
        raise RefusedError(
            f"a server runs on {place.data_dir} (process {pid})",
            next_step=f"stop {place.unit}, then run this again",
        )
    planned = plan(place, request, client, run)
    if request.type == "standby":
        request = replace(request, repo=planned["repo"])
    state = read_state()
    aside = f"{place.data_dir}.kept-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}" if planned["keeps"] else None
    kept = aside or (state.get("kept") if _taken_up(place, state) else None)
    write_state({"state": "restoring", "kept": kept, "options": request.options(client)})
    if aside:
        place.data_dir.rename(aside)
    _make_directory(place)
    place.forget_killed()
    reused = 0
    if kept and request.reuse:
        reused = reused_data.copy(Path(kept), place.data_dir, planned["started"], timeout, run)
    delta = ["--delta"] if request.delta or any(place.data_dir.iterdir()) else []
    done = client.call(*delta, *request.options(client), "restore", timeout=timeout)
    if request.type != "default":
        # What an earlier run was to reach with WAL that only a receiver had is not where these data end.
        received_wal.forget_demand()
    write_state({"state": "restored", "kept": kept, "options": request.options(client)})
    return {**planned, "kept": kept, "reused": reused, "seconds": round(done.seconds, 3)}


def read_state() -> dict[str, t.Any]:
    try:
        state: dict[str, t.Any] = json.loads(STATE.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return state


def write_state(state: t.Mapping[str, t.Any]) -> None:
    unfinished = STATE.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(state) + "\n", encoding="utf-8")
    unfinished.replace(STATE)


def commit(place: Place, *, check_mode: bool) -> list[str]:
    """Remove every data directory that restores have kept beside this one. Returns their names."""
    kept = sorted(str(path) for path in place.data_dir.parent.glob(f"{place.data_dir.name}.kept-*") if path.is_dir())
    if not check_mode:
        for path in kept:
            shutil.rmtree(path)
    return kept


def _demand_same_cluster(place: Place, stanza: Stanza, repo: int, run: Runner) -> None:
    here, there = place.system_id(run), stanza.present(repo)
    if here is None and place.whole():
        raise UnknownError(
            f"pg_controldata does not say which cluster {place.data_dir} belongs to",
            next_step=f"{place.bin_dir}/pg_controldata --pgdata {place.data_dir}",
        )
    if here is not None and there is not None and here != there.system_id:
        raise RefusedError(
            "the repository holds another cluster than this data directory",
            given=f"system identifier {there.system_id} in repository {repo}, {here} in {place.data_dir}",
            next_step="check resilience_stanza, or move the data directory away yourself",
        )


def _demand_keepable(place: Place) -> None:
    """A directory is kept by another name, and takes nothing with it that lies elsewhere."""
    why = ""
    if place.data_dir.is_symlink():
        why = f"{place.data_dir} is a link to {place.data_dir.resolve()}"
    elif os.path.ismount(place.data_dir):
        why = f"{place.data_dir} is a mount point"
    elif tablespaces := place.tablespaces():
        why = f"there are tablespaces: {', '.join(tablespaces)}"
    if why:
        raise RefusedError(
            "the old data cannot be kept beside the new ones",
            given=why,
            next_step="restore in place of the old data with resilience_restore_keep=false",
        )


def _repository(stanza: Stanza, request: Request) -> int:
    """The first one; for a standby the first that has a backup to give, since whom it follows has what came later."""
    numbers = [repository.number for repository in stanza.repositories]
    giving = [number for number in numbers if stanza.repository(number).readable and stanza.backups_of(number)]
    return (giving or numbers)[0] if request.type == "standby" else numbers[0]


def _backup(stanza: Stanza, repo: int, request: Request) -> Backup:
    backups = stanza.backups_of(repo)
    chosen = [backup for backup in backups if request.set in (None, backup.label)]
    if not chosen:
        raise InputError(
            f"repository {repo} holds no such backup",
            given=request.set or "the newest",
            possible=", ".join(backup.label for backup in backups) or "none",
        )
    return chosen[-1]


def _taken_up(place: Place, state: t.Mapping[str, t.Any]) -> bool:
    """An earlier run was cut off, in the restore or before the recovery had come to its end."""
    return (state.get("state") == "restoring" and not place.whole()) or (
        state.get("state") == "restored" and place.recovers()
    )


def _disk_bytes(path: Path) -> int:
    try:
        return path.lstat().st_blocks * DISK_BLOCK
    except FileNotFoundError:
        return 0


def _demand_room(place: Place, backup: Backup, *, there: int) -> None:
    """The disk takes the new data.

    :param there: bytes that the new data replace, as those of a run that was cut off.
    """
    needed, free = max(0, int(backup.size * ROOM) - there), place.free_bytes()
    if free < needed:
        raise RefusedError(
            "the disk is too small for the restored data beside the old ones",
            given=f"{free // 2**20} MB free",
            possible=f"{needed // 2**20} MB or more",
            next_step="make room, or restore in place of the old data with resilience_restore_keep=false",
        )


def _make_directory(place: Place) -> None:
    if not place.data_dir.exists():
        place.data_dir.mkdir(mode=0o700)
        shutil.chown(place.data_dir, place.os_user, place.os_user)

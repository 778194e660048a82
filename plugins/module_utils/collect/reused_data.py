# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies from the data that a restore keeps what was not written since the backup began, for a disk is near.

Nothing is believed of a copy. pgBackRest compares each file with the backup's checksum, and fetches what differs.
"""

from __future__ import annotations

import os
import re
import shutil
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner

#: A relation's file: its number, its fork, its segment. Temporary ones have other names, and are in no backup.
RELATION = re.compile(r"(\d+)(?:_([a-z]+))?(?:\.\d+)?\Z")
#: Copies at a time for each core: they wait for the disk, which one at a time leaves idle half of the time.
COPIES_PER_CORE = 4
#: Bytes from which on a file has a copy to itself, and how many smaller ones share one.
LARGE = 16 * 2**20
SMALL_AT_ONCE = 64
#: Without it, pgBackRest takes a directory for anything but a cluster's, and changes no file in it.
MARKER = "PG_VERSION"


def copy(kept: Path, data_dir: Path, started: int, timeout: float, run: Runner) -> int:
    """Copy into a data directory that pgBackRest is about to restore; how many bytes.

    :param kept: the data from before, which stay as they are.
    :param started: when the backup began, in seconds since 1970.
    """
    if not (kept / MARKER).is_file():
        return 0
    # One whose copy was cut off differs, so it is fetched.
    missing = [file for file in (MARKER, *unwritten_since(kept, started)) if not (data_dir / file).exists()]
    # Two copies that make the same folder at once would fail.
    _make_folders(kept, data_dir, missing)
    large = [file for file in missing if _size(kept / file) >= LARGE]
    small = [file for file in missing if _size(kept / file) < LARGE]
    copies = COPIES_PER_CORE * (os.cpu_count() or 1)
    cp = ["cp", "--archive", "--reflink=auto", "--parents", f"--target-directory={data_dir}", "--"]
    for files, at_once in ((large, 1), (small, SMALL_AT_ONCE)):
        xargs = ["xargs", "--null", "--no-run-if-empty", f"--max-procs={copies}", f"--max-args={at_once}"]
        names = "".join(f"{file}\0" for file in files)
        # A file that a broken disk does not give back is fetched, too.
        run(["env", f"--chdir={kept}", *xargs, *cp], stdin=names, timeout=timeout, check=False)
    # pgBackRest syncs what it writes; a copy that a power cut tears after its comparison would be believed.
    run(["sync", "--file-system", str(data_dir)], timeout=timeout)
    return sum(_size(data_dir / file) for file in missing)


def unwritten_since(data_dir: Path, moment: int) -> list[str]:
    """The relations' files that were last written before a moment (seconds since 1970), as paths below ``data_dir``."""
    base = data_dir / "base"
    databases = sorted(base.iterdir()) if base.is_dir() else []
    return [
        f"base/{database.name}/{name}"
        for database in databases
        if database.is_dir()
        for name in sorted(_relations(database, moment))
    ]


def _make_folders(kept: Path, data_dir: Path, files: t.Iterable[str]) -> None:
    for folder in sorted({parent for file in files for parent in Path(file).parents}):
        made, owner = data_dir / folder, (kept / folder).stat()
        if not made.exists():
            made.mkdir()
            shutil.copystat(kept / folder, made)
            os.chown(made, owner.st_uid, owner.st_gid)


def _size(file: Path) -> int:
    """Bytes; a file that is not there, or cannot be seen, has none."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _relations(database: Path, moment: int) -> t.Iterator[str]:
    with os.scandir(database) as entries:
        found = {
            entry.name: (match, entry.stat().st_mtime) for entry in entries if (match := RELATION.match(entry.name))
        }
    # What is not logged is in no backup.
    unlogged = {match.group(1) for match, _written in found.values() if match.group(2) == "init"}
    return (name for name, (match, written) in found.items() if written < moment and match.group(1) not in unlogged)

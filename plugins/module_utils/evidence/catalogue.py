# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A catalogue: one JSON object a line, appended and on disk before anybody relies on it, never rewritten.

A run that begins leaves a marker beside it, and takes it away once its line is there: what is cut off is found by its
marker, and gets its line from whoever comes next.
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass
from pathlib import Path

Line = dict[str, t.Any]

BACKUP = "fraiseql.resilience/backup/1"
VERIFICATION = "fraiseql.resilience/verification/1"
NAMES = {BACKUP: "catalogue.jsonl", VERIFICATION: "results.jsonl"}


def read(path: Path, schema: str) -> list[Line]:
    """The lines of a catalogue, oldest first; none where there is no file.

    What is no line of this schema is left out: a disk that was full leaves half a line.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for part in raw.splitlines():
        try:
            line = json.loads(part)
        except ValueError:
            continue
        if isinstance(line, dict) and line.get("schema") == schema:
            found.append(line)
    return found


@dataclass(frozen=True)
class Catalogue:
    """A stanza's catalogue in its directory, which exists."""

    directory: Path
    schema: str = BACKUP

    @property
    def path(self) -> Path:
        return self.directory / NAMES[self.schema]

    def lines(self) -> list[Line]:
        return read(self.path, self.schema)

    def append(self, line: Line) -> None:
        """Write one line, and return once it is on disk. A line that was torn before it stays torn, alone.

        :raises OSError: the disk is full, or read-only.
        """
        said = json.dumps(line, sort_keys=True).encode("ascii") + b"\n"
        with self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                said = said if file.read(1) == b"\n" else b"\n" + said
            file.write(said)
            file.flush()
            os.fsync(file.fileno())
        _sync(self.directory)

    def marker(self, repo: int) -> Path:
        return self.directory / f"began-repo{repo}.json"

    def begin(self, repo: int, what: Line) -> None:
        """Say on disk that a run has begun.

        :raises OSError: see :meth:`append`.
        """
        replace(self.marker(repo), json.dumps(what))

    def began(self, repo: int) -> Line | None:
        """The run that left its marker; an empty one if the marker cannot be read."""
        try:
            found = json.loads(self.marker(repo).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def end(self, repo: int) -> None:
        self.marker(repo).unlink(missing_ok=True)


def replace(path: Path, content: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all: readers see the old one or the new one.

    :raises OSError: the old one is still there.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with new.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of backups, verifications and forecasts that a repository host keeps: one JSON object a line.

Lines are appended and never rewritten, so a host that lost its power leaves a torn last line at worst. A line that
cannot be read is told in words, with its number, and the others are read.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError

ROOT = Path("/var/lib/fraiseql-resilience")

Record = dict[str, t.Any]


@dataclass(frozen=True)
class Lines:
    """The records of one file, oldest first, and what could not be read of it, in words."""

    records: tuple[Record, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Files:
    """Where the records of one stanza are."""

    catalogue: Path
    verifications: Path
    forecasts: Path
    #: The newest forecast alone, for whoever wants to know only that.
    forecast: Path


def files(stanza: str, root: Path = ROOT) -> Files:
    verifications = root / "verifications" / stanza
    return Files(
        root / "backups" / stanza / "catalogue.jsonl",
        verifications / "results.jsonl",
        verifications / "forecasts.jsonl",
        root / "forecasts" / stanza / "forecast.json",
    )


def read(path: Path) -> Lines:
    """A file's records; one that is not there has none yet.

    :raises UnknownError: it is there and cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Lines()
    except OSError as error:
        raise UnknownError(f"{path} cannot be read: {error.strerror}") from error
    return parse(content, path.name)


def parse(content: bytes, name: str) -> Lines:
    records, problems = [], []
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            torn = number == len(lines)
            what = "is torn: it was being written when the host stopped" if torn else "is no JSON"
            problems.append(f"{name}: line {number} {what}")
            continue
        if isinstance(record, dict):
            records.append(record)
        else:
            problems.append(f"{name}: line {number} is no object")
    return Lines(tuple(records), tuple(problems))


def append(path: Path, record: t.Mapping[str, t.Any]) -> None:
    """One more record, on disk when this returns. Behind a torn line it begins a line of its own.

    :raises UnknownError: it could not be written.
    """
    line = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _give(descriptor, path.parent)
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, b"\n" + line if torn else line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnknownError(f"{path} cannot be written: {error.strerror}") from error


def replace(path: Path, record: t.Mapping[str, t.Any]) -> None:
    """A file of one record, written whole or not at all.

    :raises UnknownError: it could not be written; the one before is still there.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o644)
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise UnknownError(f"{path} cannot be written: {error.strerror}") from error


def _give(descriptor: int, folder: Path) -> None:
    """A file that root makes belongs to the folder's owner, who appends to it, too."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a data directory says of itself while its server is down: pg_controldata, history files, segments of WAL."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import (
    TimelineSwitch,
    history_file_name,
    lsn_to_int,
    parse_history,
)

SECONDS = 10.0
SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:\.partial)?")


@dataclass(frozen=True)
class ControlData:
    """The control file. LSNs are text as PostgreSQL writes them; ``0/0`` is PostgreSQL's own word for none."""

    state: str
    system_id: str
    timeline: int
    checkpoint_lsn: str
    min_recovery_lsn: str
    min_recovery_timeline: int
    checksums: bool
    wal_segment_bytes: int

    @property
    def shut_down(self) -> bool:
        """Whether the last thing that happened was an orderly shutdown."""
        return self.state in ("shut down", "shut down in recovery")


def read(member: t.Mapping[str, t.Any], *, run: Runner) -> ControlData | None:
    """The control file of a member's data directory; None where there is none.

    :raises UnknownError: it is there and cannot be read.
    """
    if not (Path(member["data_dir"]) / "global" / "pg_control").exists():
        return None
    argv = [f"{member['bin_dir']}/pg_controldata", "--pgdata", str(member["data_dir"])]
    try:
        return parse(run(argv, timeout=SECONDS).stdout)
    except (CommandError, KeyError, ValueError) as error:
        raise UnknownError(
            f"the control file of {member['name']} cannot be read: {error}",
            given=str(member["data_dir"]),
            next_step="move the data directory away yourself, and run the playbook rejoin again",
        ) from error


def parse(text: str) -> ControlData:
    """pg_controldata's output in the C locale.

    :raises KeyError: a line is missing.
    """
    said = {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in text.splitlines())}
    return ControlData(
        state=said["Database cluster state"],
        system_id=said["Database system identifier"],
        timeline=int(said["Latest checkpoint's TimeLineID"]),
        checkpoint_lsn=said["Latest checkpoint location"],
        min_recovery_lsn=said["Minimum recovery ending location"],
        min_recovery_timeline=int(said["Min recovery ending loc's timeline"]),
        checksums=said["Data page checksum version"] != "0",
        wal_segment_bytes=int(said["Bytes per WAL segment"]),
    )


def own_history(member: t.Mapping[str, t.Any], timeline: int) -> list[TimelineSwitch]:
    """Where the timelines before ``timeline`` were left, as this member knows it; nothing for the first one.

    :raises UnknownError: the history file is not there.
    """
    if timeline == 1:
        return []
    path = Path(member["data_dir"]) / "pg_wal" / history_file_name(timeline)
    try:
        return parse_history(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnknownError(f"{member['name']} does not know its own history: {error.strerror}: {path}") from error


def segments_since(member: t.Mapping[str, t.Any], lsn: str, segment_bytes: int) -> list[Path]:
    """The files of WAL of this member that hold anything written at or after ``lsn``, on whatever timeline, by name.

    Told by their names alone: segments that PostgreSQL made ahead for later use are among them.
    """
    found = []
    for path in sorted((Path(member["data_dir"]) / "pg_wal").iterdir()):
        name = SEGMENT.fullmatch(path.name)
        if name and _end(name, segment_bytes) > lsn_to_int(lsn):
            found.append(path)
    return found


def _end(name: re.Match[str], segment_bytes: int) -> int:
    """The first byte of WAL after the segment."""
    return (int(name[2], 16) << 32) + (int(name[3], 16) + 1) * segment_bytes

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module recovery_window on a repository of a month: hourly backups, 50,000 segments, two failovers.

A program stands in for pgBackRest and prints what one prints of such a repository, so that the figure is that of the
walk and of the judgement. The WAL's content is not read. The module runs in a process of its own: seconds from its
start to its end, imports included, and the most memory that it held.

    .venv/bin/python tests/bench/window.py        ten rounds on the terminal; needs no lab
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

SEGMENTS = 50_000
DAYS = 30
SEGMENT = 16 * 2**20
BEGIN = 1_795_000_000
#: Where each timeline ends and the next one begins, as a part of all segments.
FORKS = (0.4, 0.8)
TIMEOUT = 120.0

Json = dict[str, t.Any]

PROGRAM = """\
#!/bin/sh
# Stands in for pgbackrest: says what a large repository says.
for last; do :; done
case "$*" in
  *repo-get*) exec cat "{folder}/${{last##*/}}" ;;
  *repo-ls*backup/*) exec cat "{folder}/backups.json" ;;
  *repo-ls*) exec cat "{folder}/archive.json" ;;
  *info*) exec cat "{folder}/info.json" ;;
esac
exit 1
"""


def timeline_of(number: int) -> int:
    return 1 + sum(number > part * SEGMENTS for part in FORKS)


def segment_name(timeline: int, number: int) -> str:
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def lsn(number: int, offset: int) -> str:
    byte = number * SEGMENT + offset
    return f"{byte >> 32:X}/{byte & 0xFFFFFFFF:X}"


def archive() -> Json:
    """``repo-ls --recurse --output=json`` of the archive's directory."""
    listed: Json = {".": {"type": "path"}}
    for number in range(1, SEGMENTS + 1):
        name = segment_name(timeline_of(number), number)
        listed.setdefault(name[:16], {"type": "path"})
        digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
        arrived = BEGIN + number * DAYS * 86400 // SEGMENTS
        listed[f"{name[:16]}/{name}-{digest}.zst"] = {"type": "file", "size": 3_500_000, "time": arrived}
    for timeline, part in enumerate(FORKS, start=2):
        arrived = BEGIN + int(part * DAYS * 86400)
        listed[f"{timeline:08X}.history"] = {"type": "file", "size": 41, "time": arrived}
    return listed


def histories() -> dict[str, str]:
    """What PostgreSQL writes at a promotion: each child's file holds its parent's lines."""
    lines, found = "", {}
    for timeline, part in enumerate(FORKS, start=2):
        lines += f"{timeline - 1}\t{lsn(int(part * SEGMENTS) + 1, 0x28)}\tno recovery target specified\n"
        found[f"{timeline:08X}.history"] = lines
    return found


def backups() -> list[Json]:
    """A full backup each day and an incremental one each other hour, as ``info`` lists them."""
    found: list[Json] = []
    for hour in range(DAYS * 24):
        number = 2 + hour * (SEGMENTS - 4) // (DAYS * 24)
        at = time.strftime("%Y%m%d-%H%M%S", time.gmtime(BEGIN + hour * 3600))
        day = hour - hour % 24
        full = hour == day
        label = f"{at}F" if full else f"{found[day]['label']}_{at}I"
        name = segment_name(timeline_of(number), number)
        found.append({
            "archive": {"start": name, "stop": name}, "backrest": {"format": 5, "version": "2.45"},
            "database": {"id": 1, "repo-key": 1}, "error": False,
            "info": {"delta": 10**7, "repository": {"delta": 10**6, "size": 10**9}, "size": 10**10},
            "label": label, "lsn": {"start": lsn(number, 0x28), "stop": lsn(number, 0x158)},
            "prior": None if full else found[-1]["label"],
            "reference": None if full else [one["label"] for one in found[day:]],
            "timestamp": {"start": BEGIN + hour * 3600, "stop": BEGIN + hour * 3600 + 60},
            "type": "full" if full else "incr",
        })  # fmt: skip
    return found


def info(held: list[Json]) -> list[Json]:
    ends = {"min": segment_name(1, 1), "max": segment_name(timeline_of(SEGMENTS), SEGMENTS)}
    return [{
        "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "15-1", **ends}],
        "backup": held, "cipher": "aes-256-cbc",
        "db": [{"id": 1, "repo-key": 1, "system-id": 7712454083190022000, "version": "15"}],
        "name": "lab", "repo": [{"cipher": "aes-256-cbc", "key": 1, "status": {"code": 0, "message": "ok"}}],
        "status": {"code": 0, "lock": {"backup": {"held": False}}, "message": "ok"},
    }]  # fmt: skip


def make(folder: Path) -> None:
    """The repository, as far as anybody asks for it."""
    held = backups()
    listed = {one["label"]: {"type": "path"} for one in held}
    for name, content in (("archive", archive()), ("backups", listed), ("info", info(held))):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="ascii")
    for name, text in histories().items():
        (folder / name).write_text(text, encoding="ascii")
    program = folder / "pgbackrest"
    program.write_text(PROGRAM.format(folder=folder), encoding="ascii")
    program.chmod(0o755)


def large_repository(_bench: t.Any = None) -> dict[str, float]:
    """One round: the samples by the id of their figure."""
    with tempfile.TemporaryDirectory(prefix="resilience-window-") as name:
        make(Path(name))
        environment = {**os.environ, "PATH": f"{name}:{os.environ['PATH']}"}
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), "--judge"],
            check=True, capture_output=True, text=True, env=environment, timeout=TIMEOUT,
        )  # fmt: skip
        seconds = time.monotonic() - begin
    said = json.loads(done.stdout)
    expected = {"verdict": "passed", "windows": 3, "backups": DAYS * 24, "newest": 3}
    if {name: said[name] for name in expected} != expected:
        raise AssertionError(f"a whole repository was judged otherwise: {said}")
    return {"window_50k_segments_seconds": seconds, "window_50k_segments_mb": said["kib"] / 1024}


def judge() -> None:
    """The module in this process; what it said, and the memory that it took."""
    from ansible_collections.fraiseql.resilience.plugins.module_utils import command
    from ansible_collections.fraiseql.resilience.plugins.modules import recovery_window

    params = {name: option.get("default") for name, option in recovery_window.argument_spec().items()}
    said = recovery_window.act({**params, "stanza": "lab", "read_wal": False, "user": "root"}, command.run)
    print(
        json.dumps(
            {
                "verdict": said["verdict"],
                "windows": len(said["windows"]),
                "backups": len(said["windows"][-1]["backups"]) if said["windows"] else 0,
                "newest": said["timelines"][0]["newest"] if said["timelines"] else None,
                "wrong": [check for check in said["checks"] if check["verdict"] != "passed"],
                "kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--judge"]:
        judge()
    else:
        for _round in range(10):
            print({name: round(value, 3) for name, value in large_repository().items()}, flush=True)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every runbook that can be drilled, one after the other on one lab: what came of each, and how long it took.

    make bench ONLY=runbooks       three quarters of an hour

What came of each stands in docs/runbooks-drilled.json, and in the index of docs/runbooks.
"""

from __future__ import annotations

import json
import statistics
import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from rounds import TOP, Bench, RoundFailed

FILE = TOP / "docs" / "runbooks-drilled.json"
SCHEMA = "fraiseql.resilience/runbooks-drilled/1"
COMMAND = "make bench ONLY=runbooks"
#: The lab that the last one leaves is the first one's again; those that need most come last.
LAST = ("region_lost", "repository_lost", "cross_region_restore", "ransomware")


def scenarios(top: Path = TOP) -> list[str]:
    """Runbooks with a fault that is made by itself, or within a drill of their own."""
    books = [path.parent for path in (top / "playbooks" / "runbooks").glob("*/runbook.yml")]
    drills = {path.stem for path in (top / "playbooks" / "drills").glob("*.yml")}
    found = sorted(book.name for book in books if (book / "inject.yml").exists() or book.name in drills)
    return [*(name for name in found if name not in LAST), *(name for name in LAST if name in found)]


def drilled(bench: Bench) -> dict[str, float]:
    """One round: all of them. One that fails does not keep the others from being drilled."""
    begin, found = time.monotonic(), []
    for name in scenarios():
        found.append(one(bench, name))
        keep(found)
    passed = [line for line in found if line["verdict"] == "passed"]
    seen = [line for line in found if line["recognised"] is not None]
    if not seen:
        raise RoundFailed("no runbook was recognised")
    return {
        "runbooks_drilled": float(len(passed)),
        "runbooks_all_minutes": (time.monotonic() - begin) / 60,
        "runbooks_detect_first": float(sum(line["recognised"] == line["runbook"] for line in seen)),
        "runbook_detection_median_seconds": statistics.median(line["recognised_seconds"] for line in seen),
    }


def by_hand(bench: Bench) -> dict[str, float]:
    """One round: each that has commands for every step is followed by them alone."""
    found = [one(bench, name, "-e", "resilience_drill_way=hand") for name in followed_by_hand()]
    return {"runbooks_manual_verified": float(sum(line["verdict"] == "passed" for line in found))}


def by_hand_possible(_bench: Bench) -> dict[str, float]:
    return {"runbooks_manual_verified": float(len(followed_by_hand()))}


def followed_by_hand(top: Path = TOP) -> list[str]:
    """Runbooks with a procedure of their own, none of whose steps says why nobody does it by hand."""
    texts = {
        path.parent: (path.parent / "runbook.yml").read_text() for path in top.glob("playbooks/runbooks/*/respond.yml")
    }
    return sorted(folder.name for folder, text in texts.items() if "no_command:" not in text)


def one(bench: Bench, name: str, *options: str) -> dict[str, t.Any]:
    """What a drill of it came to; its times are seconds since the fault, or as clients felt them."""
    begin = time.monotonic()
    bench.play("drill", *(options or ("-e", "resilience_drill_recognise=true")), scenario=name, may_fail=True)
    report = bench.newest_report(name)
    folder = bench.folder / "evidence" / report["evidence"]["folder"] if report else None
    line = {
        "runbook": name,
        "verdict": report.get("verdict", "unknown"),
        "rto_seconds": report.get("rto_seconds"),
        "lost_rows": (report.get("rpo") or {}).get("transactions"),
        **(recognised(folder) if folder else {"recognised": None, "recognised_seconds": None}),
        "seconds": round(time.monotonic() - begin, 1),
        "on": report.get("ended_utc", "")[:10],
        "evidence": report.get("evidence", {}).get("folder"),
    }
    print(f"  {name}: {line['verdict']}, recognised as {line['recognised']} after {line['recognised_seconds']} s,"
          f" {line['seconds']:.0f} s in all", flush=True)  # fmt: skip
    return line


def recognised(folder: Path) -> dict[str, t.Any]:
    """By the timeline: what it was taken for, and how long after the fault."""
    lines = map(json.loads, (folder / "timeline.jsonl").read_text(encoding="utf-8").splitlines())
    marks = {line["mark"]: line for line in reversed(list(lines)) if line["kind"] == "mark"}
    if "recognised" not in marks or "fault" not in marks:
        return {"recognised": None, "recognised_seconds": None}
    nanoseconds = marks["recognised"]["monotonic_ns"] - marks["fault"]["monotonic_ns"]
    return {"recognised": marks["recognised"]["detail"], "recognised_seconds": round(nanoseconds / 1e9, 1)}


def keep(found: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = {"schema": SCHEMA, "measured_at": at, "command": COMMAND, "runbooks": list(found)}
    FILE.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several drills together: one table, one page, one verdict."""

from __future__ import annotations

import collections
import json
import typing as t
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import bundle as bundles
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import distribution, picture, signature
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import html
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.repetition import Repetition, repetitions
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst

#: The table's columns: heading, and the field of a report's summary. Seconds unless they are a count.
COLUMNS: t.Final = (
    ("detected", "detected_seconds"),
    ("decided → first ack", "decided_to_first_ack_seconds"),
    ("RTO", "rto_seconds"),
    ("lost transactions", "lost_transactions"),
    ("RPO", "rpo_seconds"),
    ("redundancy back", "redundancy_back_seconds"),
    ("archiving back", "archiving_back_seconds"),
)
COUNTS = frozenset({"lost_transactions"})
#: Headings of the table of what was drilled more than once.
SPREAD: t.Final = ("RTO of", "n", "min", "median", "p95", "max", "lost", "recoveries that lose anything")


@dataclass(frozen=True)
class Row:
    """One drill. ``reason`` says why a verdict is not passed; ``report`` is ``None`` when there is none."""

    scenario: str
    verdict: Verdict
    reason: str
    folder: str
    summary: dict[str, t.Any] = field(default_factory=dict)
    report: dict[str, t.Any] | None = None
    ledger: bytes = b""

    def as_dict(self) -> dict[str, t.Any]:
        shown = {key: value for key, value in asdict(self).items() if key not in ("report", "ledger")}
        return {**shown, "verdict": self.verdict.value}


def folders(directory: Path, series: str) -> list[Path]:
    """The evidence of a series of drills, in the order of time."""
    found = []
    for timeline in directory.glob(f"*/{bundles.TIMELINE}"):
        events = Bundle(timeline.parent).events()
        if events and events[0].get("series") == series:
            found.append((events[0]["utc"], timeline.parent))
    return [path for _utc, path in sorted(found)]


def rows(found: t.Sequence[Path], scenarios: t.Sequence[str], repeat: int = 1) -> list[Row]:
    """A row for each folder, and one for each time that a scenario was to be run and left none."""
    there = [row(path) for path in found]
    ran = collections.Counter(one.scenario for one in there)
    reason = "it left no evidence: it was not run, or stopped before it had begun"
    missing = [name for name in scenarios for _time in range(repeat - ran[name])]
    return there + [Row(name, Verdict.FAILED, reason, "") for name in missing]


def row(folder: Path) -> Row:
    """What one folder says. One that was not sealed, or was changed since, has failed."""
    bundle = Bundle(folder)
    try:
        opening = bundle.opening()
    except (ResilienceError, OSError) as error:
        return Row(folder.name, Verdict.FAILED, str(error), folder.name)
    scenario = opening["scenario"] or opening["operation"]
    if not bundle.sealed:
        return Row(scenario, Verdict.FAILED, _aborted(bundle), folder.name)
    differences = signature.differences(folder)
    if differences:
        return Row(scenario, Verdict.FAILED, f"changed since it was sealed: {'; '.join(differences)}", folder.name)
    report = json.loads((folder / bundles.REPORT).read_text(encoding="utf-8"))
    ledger = folder / bundles.LEDGER
    return Row(
        scenario,
        Verdict(report["verdict"]),
        "; ".join(f"{check['name']}: {check['reason']}" for check in report["checks"] if check["verdict"] != "passed"),
        folder.name,
        report["summary"],
        report,
        ledger.read_bytes() if ledger.exists() else b"",
    )


def _aborted(bundle: Bundle) -> str:
    failures = [event for event in bundle.events() if event["kind"] == "failure"]
    if not failures:
        return "cut off before its end; no task had failed"
    last = failures[-1]
    return f"aborted by the task '{last['task']}' on {last['host']}: {last['reason']}"


def verdict(rows: t.Sequence[Row]) -> Verdict:
    """The worst of all drills; none at all proves nothing."""
    return worst(Check(one.scenario, one.verdict, one.reason) for one in rows)


def cells(one: Row) -> list[str]:
    """A drill as the table shows it."""
    return [one.scenario, *(_cell(name, one.summary.get(name)) for _heading, name in COLUMNS), one.verdict.value]


def _cell(name: str, value: t.Any) -> str:
    if value is None:
        return "–"
    return str(value) if name in COUNTS else picture.seconds(value)


def headings() -> list[str]:
    return ["scenario", *(heading for heading, _name in COLUMNS), "verdict"]


def table(rows: t.Sequence[Row]) -> list[str]:
    """The table as lines of text; below it, what was drilled more than once."""
    lines = aligned([headings(), *(cells(one) for one in rows)])
    again = repeated(rows)
    return [*lines, "", *aligned([SPREAD, *map(spread_cells, again)])] if again else lines


def repeated(rows: t.Sequence[Row]) -> list[Repetition]:
    return repetitions((one.scenario, one.summary.get("rto_seconds"), one.summary.get("lost_transactions")) for one in rows)


def spread_cells(one: Repetition) -> list[str]:
    """A repetition as the table shows it."""
    times = (min(one.seconds), one.median, one.p95, max(one.seconds))
    bound = "–" if one.loss_bound is None else f"below {one.loss_bound:.0%} (95 % sure)"
    return [one.scenario, str(one.n), *map(picture.seconds, times), str(one.lost), bound]


def aligned(lines: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Lines of cells, the headings first, as text: the first and last column to the left, figures between them to the
    right, columns as wide as they need to be."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    words = {0, len(widths) - 1}
    text = [
        "  ".join(
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return [text[0], "  ".join("─" * width for width in widths), *text[1:]]


def _spread_view(one: Repetition) -> dict[str, t.Any]:
    title = f"recovery times of {one.scenario}: {', '.join(map(picture.seconds, one.seconds))}"
    return {"cells": spread_cells(one), "picture": distribution.svg(one.seconds, one.median, title)}


def write(directory: Path, cluster: str, rows: t.Sequence[Row], by: signature.Signer | None, run: Runner) -> Path:
    """The folder of the summary: summary.json, report.html with all pictures, junit.xml is each drill's own."""
    bundle = Bundle.create(directory, "drills", cluster, None)
    for one in rows:
        manifest = directory / one.folder / signature.MANIFEST
        if one.folder and manifest.is_file():
            bundle.timeline.append("summarised", folder=one.folder, manifest=signature.digest(manifest))
    again = repeated(rows)
    found = {
        "schema": "fraiseql.resilience/summary/1",
        "cluster": cluster,
        "verdict": verdict(rows).value,
        "written_utc": datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "drills": [one.as_dict() for one in rows],
        "repetitions": [one.as_dict() for one in again],
    }
    shown = {
        "headings": headings(),
        "rows": [{"cells": cells(one), "row": one} for one in rows],
        "verdict": found["verdict"],
        "spread": {"headings": SPREAD, "rows": [_spread_view(one) for one in again]},
    }
    views = [{**html.view(one.report, one.ledger), "folder": one.folder} for one in rows if one.report is not None]
    page = html.summary_page(f"Drills on {cluster}", shown, views)
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    bundle.seal({"summary.json": text.encode("utf-8"), bundles.PAGE: page}, by, run)
    return bundle.path

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scraper is to see of backups, their verifications and the archive. Pure.

Moments are told, not ages: an age in a file that nobody writes any more stands still, while ``time() - moment`` grows.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.archived import Archived, Position
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backups import seconds
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.prometheus import Metric

Line = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Seen:
    """What was seen of one repository; None is what was not. Times in seconds since 1970, sizes in bytes."""

    looked: float | None = None
    archived: Archived | None = None
    safe: Position | None = None
    size: int | None = None
    free: int | None = None
    copied: float | None = None


@dataclass(frozen=True)
class Facts:
    stanza: str
    now: float
    backups: t.Sequence[Line] = ()
    verifications: t.Sequence[Line] = ()
    forecast: Line | None = None
    repositories: t.Mapping[int, Seen] = field(default_factory=dict)


def metrics(facts: Facts) -> list[Metric]:
    written = Metric("resilience_backup_metrics_timestamp_seconds", "When these metrics were written.")
    written.add({"stanza": facts.stanza}, facts.now)
    return [
        written,
        *_runs(facts, facts.backups, "resilience_backup", "backup", "type"),
        *_runs(facts, facts.verifications, "resilience_verification", "verification", "level"),
        *_repositories(facts),
        *_forecast(facts),
    ]


def _runs(facts: Facts, lines: t.Sequence[Line], prefix: str, what: str, key: str) -> list[Metric]:
    """The last run, and the last good one, of each repository and type or level."""
    by = f"by repository and {key}"
    last = Metric(f"{prefix}_last_run_timestamp_seconds", f"When the last {what} ended, {by}, whatever became of it.")
    verdict = Metric(f"{prefix}_last_verdict", f"1 for the verdict of the last {what}, 0 for the other two, {by}.")
    good = Metric(
        f"{prefix}_last_good_timestamp_seconds",
        f"When the last {what} that passed ended, {by}; time() - it is its age.",
    )
    took = Metric(f"{prefix}_duration_seconds", f"How long the last {what} that passed took, {by}.")
    sizes = []
    if key == "type":
        sizes = [
            (Metric(f"{prefix}_size_bytes", f"Size of the database in the last good {what}, {by}."), "size"),
            (Metric(f"{prefix}_repository_size_bytes", f"What it added to the repository, {by}."), "repository_size"),
        ]
    word = "wanted" if key == "type" else key
    for repo, kind in sorted({(line["repo"], line[word]) for line in lines}):
        labels = {"stanza": facts.stanza, "repo": repo, key: kind}
        own = [line for line in lines if (line["repo"], line[word]) == (repo, kind)]
        last.add(labels, seconds(own[-1]["utc"]))
        for one in Verdict:
            verdict.add({**labels, "verdict": one.value}, float(own[-1]["verdict"] == one.value))
        passed = next((line for line in reversed(own) if line["verdict"] == Verdict.PASSED.value), None)
        if passed is None:
            continue
        good.add(labels, seconds(passed["utc"]))
        took.add(labels, duration(passed))
        for metric, name in sizes:
            metric.add(labels, passed.get(name))
    return [last, verdict, good, took, *(metric for metric, _name in sizes)]


def duration(line: Line) -> float | None:
    """A backup's seconds, or the total of a verification's."""
    told = line.get("seconds")
    return told.get("total") if isinstance(told, dict) else told


#: Per repository: the metric, what it says, and where it is in what was seen.
REPOSITORY: tuple[tuple[str, str, t.Callable[[Seen], float | None]], ...] = (
    ("repository_size_bytes", "Size of the file system that the repository is on.", lambda seen: seen.size),
    ("repository_free_bytes", "Room that is left in that file system.", lambda seen: seen.free),
    (
        "backup_catalogue_copied_timestamp_seconds",
        "When the repository last got its copy of the catalogue.",
        lambda seen: seen.copied,
    ),
    ("archive_looked_timestamp_seconds", "When the archive was last walked by name.", lambda seen: seen.looked),
    (
        "archive_gaps",
        "Holes in the WAL of the archive, on all timelines.",
        lambda seen: None if seen.archived is None else seen.archived.gaps,
    ),
    (
        "archive_last_segment_timestamp_seconds",
        "When the last segment arrived. An idle database archives nothing: this is no measure of loss.",
        lambda seen: None if seen.archived is None else seen.archived.last_time,
    ),
    (
        "archive_safe_timestamp_seconds",
        "Every commit before it is in the archive; time() - it bounds what the loss of all members loses, from above.",
        lambda seen: None if seen.safe is None else seen.safe.at,
    ),
    (
        "recovery_window_start_timestamp_seconds",
        "End of the oldest backup from which the newest timeline can be restored.",
        lambda seen: None if seen.archived is None else seen.archived.window_start,
    ),
    (
        "recovery_window_end_timestamp_seconds",
        "When the last segment of continuous WAL arrived.",
        lambda seen: None if seen.archived is None else seen.archived.window_end,
    ),
)


def _repositories(facts: Facts) -> list[Metric]:
    found = []
    for name, said, value in REPOSITORY:
        metric = Metric(f"resilience_{name}", said)
        for repo, seen in sorted(facts.repositories.items()):
            metric.add({"stanza": facts.stanza, "repo": repo}, value(seen))
        found.append(metric)
    return found


def _forecast(facts: Facts) -> list[Metric]:
    if facts.forecast is None:
        return []
    said = Metric("resilience_forecast_timestamp_seconds", "When recovery times were last forecast.")
    said.add({"stanza": facts.stanza}, seconds(facts.forecast["utc"]))
    found = [said]
    for name, what in (("seconds", "expected"), ("low", "least"), ("high", "greatest")):
        suffix = "" if name == "seconds" else f"_{name}"
        metric = Metric(f"resilience_forecast{suffix}_seconds", f"The {what} time of a recovery, by its kind.")
        for one in facts.forecast.get("recoveries", []):
            metric.add({"stanza": facts.stanza, "kind": one["kind"]}, one.get(name))
        found.append(metric)
    return found

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a backup that pgBackRest ended well a good one? Pure.

pgBackRest only warns of pages with a broken checksum, makes a full one of an incremental one where it must, and does
not know how large a backup of this cluster should be.
"""

from __future__ import annotations

import statistics
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import (
    Backup,
    Database,
    lsn_number,
    lsn_text,
    meaning,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Member, Standing
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import SEGMENT_SIZE, parse_segment
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import Holdings

SCHEMA = "fraiseql.resilience/backup/1"
Line = t.Mapping[str, t.Any]

#: Backups that the size is compared with, and how many make a trend.
COMPARED, ENOUGH = 15, 3
#: Unknown by itself, and no doubt about the backup: the first ones can't be compared with anything.
NO_TREND = "backup: size has a trend"
#: Seconds between a backup's stop and its line in the catalogue that are no sign of a clock that was set back.
SAME_MOMENT = 60
#: What to do first when something is to be taken up again.
RANK = {"full": 2, "diff": 1, "incr": 0}


@dataclass(frozen=True)
class Trend:
    """The size of the database that is believed, as factors of the median of earlier backups of the same type."""

    low: float = 0.5
    high: float = 3.0


@dataclass(frozen=True)
class Manifest:
    """What a backup's manifest says of it: its ``key=value`` lines before the files, and the file's own checksum."""

    sha256: str
    values: t.Mapping[str, t.Any] = field(default_factory=dict)

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        return None if value is None else str(value)


@dataclass(frozen=True)
class Facts:
    """What was seen of a backup after it. ``holdings`` and ``manifest`` are None where they could not be read."""

    wanted: str
    backup: Backup
    database: Database | None
    holdings: Holdings | None
    manifest: Manifest | None
    #: The catalogue's lines of this repository, oldest first.
    earlier: t.Sequence[Line] = ()
    #: Why something could not be read.
    unread: str = ""


def judge(facts: Facts, trend: Trend) -> list[Check]:
    """All that makes a backup one that can be relied on."""
    return [
        _type(facts),
        _pages(facts),
        _there(facts),
        _wal(facts),
        _manifest(facts),
        _clock(facts),
        _size(facts, trend),
    ]


def verdict_of(checks: t.Sequence[Check]) -> Verdict:
    """The verdict of a backup: that there is no trend yet takes nothing from it."""
    return worst(check for check in checks if check.name != NO_TREND)


def _check(name: str, well: bool, reason: str) -> Check:
    return Check(name, Verdict.PASSED if well else Verdict.FAILED, reason)


def _type(facts: Facts) -> Check:
    name, backup = "backup: type", facts.backup
    if backup.type == facts.wanted:
        return Check(name, Verdict.PASSED, f"{backup.type}, as asked for")
    larger = RANK.get(backup.type, -1) > RANK.get(facts.wanted, -1)
    why = "there was nothing for it to build on" if larger else "less than was asked for"
    return _check(name, larger, f"{facts.wanted} was asked for, {backup.type} it became: {why}")


def _pages(facts: Facts) -> Check:
    name, error = "backup: page checksums", facts.backup.error
    if error:
        reason = "pages with a broken checksum: the cluster itself is damaged. Keep all older backups"
        return Check(name, Verdict.FAILED, reason)
    looked = facts.manifest.values.get("option-checksum-page") if facts.manifest is not None else None
    if looked is False:
        return Check(name, Verdict.UNKNOWN, "the cluster has no data checksums, so no page was checked")
    if error is None or looked is None:
        return Check(name, Verdict.UNKNOWN, facts.unread or "pgBackRest says nothing of page checksums")
    return Check(name, Verdict.PASSED, "every page that was copied has the checksum that it should have")


def _there(facts: Facts) -> Check:
    name, backup = "backup: it is there", facts.backup
    if facts.holdings is None:
        return Check(name, Verdict.UNKNOWN, facts.unread or "the repository could not be listed")
    gone = sorted({backup.label, *backup.references} - facts.holdings.labels)
    if gone:
        return Check(name, Verdict.FAILED, f"not in the repository: {', '.join(gone)}")
    others = len(set(backup.references) - {backup.label})
    return Check(name, Verdict.PASSED, f"it and the {others} backups that it refers to" if others else "it is whole")


def _wal(facts: Facts) -> Check:
    """Each segment between the backup's start and stop, by name: without one of them it never becomes consistent."""
    name, backup = "backup: its WAL is there", facts.backup
    if facts.holdings is None:
        return Check(name, Verdict.UNKNOWN, facts.unread or "the archive could not be listed")
    chain = facts.holdings.chain
    reach = chain.reach(backup.timeline, backup.timeline, backup.start_lsn)
    if reach.lsn < backup.stop_lsn:
        return Check(name, Verdict.FAILED, f"{reach.missing or reach.reason} is missing")
    line = chain.timelines.get(backup.timeline)
    first, last = (parse_segment(one, chain.segment_size)[1] for one in (backup.start_segment, backup.stop_segment))
    twice = sorted({n for n in range(first, last + 1) if line is not None and n in line.contradictions})
    if twice:
        return Check(name, Verdict.FAILED, f"{chain.name(backup.timeline, twice[0])} is there twice, and differs")
    return Check(name, Verdict.PASSED, f"{last - first + 1} segments, {backup.start_segment} to {backup.stop_segment}")


def _manifest(facts: Facts) -> Check:
    name, manifest, backup = "backup: manifest", facts.manifest, facts.backup
    if manifest is None:
        return Check(name, Verdict.UNKNOWN, facts.unread or "it could not be read")
    expected = {
        "backup-label": backup.label,
        "backup-type": backup.type,
        "backup-lsn-start": lsn_text(backup.start_lsn),
        "backup-lsn-stop": lsn_text(backup.stop_lsn),
        "db-system-id": None if facts.database is None else str(facts.database.system_id),
    }
    wrong = [
        f"{key} is {manifest.text(key)}, not {value}" for key, value in expected.items() if manifest.text(key) != value
    ]
    return _check(name, not wrong, "; ".join(wrong) or f"says the same as info; sha256 {manifest.sha256[:16]}…")


def _clock(facts: Facts) -> Check:
    """Retention and ages are reckoned by the clock: one that was set back keeps too long, or expires too early."""
    name, backup = "backup: the clock goes forward", facts.backup
    if backup.stopped < backup.started:
        return Check(name, Verdict.UNKNOWN, f"it ended {backup.started - backup.stopped} s before it began")
    last = max(
        (seconds(line["utc"]) for line in facts.earlier if line.get("label") not in (None, backup.label)), default=0
    )
    if backup.stopped < last:
        return Check(
            name, Verdict.UNKNOWN, f"it ended {last - backup.stopped:.0f} s before the one that came before it"
        )
    return Check(name, Verdict.PASSED, "it ended after it began, and after all before it")


def _size(facts: Facts, trend: Trend) -> Check:
    """A backup of half the database is no success. One of thrice the database may be true, and somebody has to look."""
    name, size = "backup: size fits the trend", facts.backup.size
    sizes = sizes_before(facts.earlier, facts.backup)
    if len(sizes) < ENOUGH:
        return Check(
            NO_TREND, Verdict.UNKNOWN, f"{len(sizes)} of {ENOUGH} earlier {facts.backup.type} backups to compare"
        )
    usual = statistics.median(sizes)
    reason = (
        f"{size} bytes are {size / usual:.2f} × the median of {len(sizes)} before ({usual:.0f});"
        f" believed is {trend.low:g} to {trend.high:g}"
    )
    if size < trend.low * usual:
        return Check(name, Verdict.FAILED, reason)
    return Check(name, Verdict.UNKNOWN if size > trend.high * usual else Verdict.PASSED, reason)


def sizes_before(earlier: t.Sequence[Line], backup: Backup) -> list[int]:
    """Sizes of the newest backups of the same type, good or not: so a new size is the usual one some backups later."""
    same = [line for line in others(earlier, backup) if line.get("type") == backup.type]
    return [int(line["size"]) for line in same if line.get("size")][-COMPARED:]


def others(earlier: t.Sequence[Line], backup: Backup) -> list[Line]:
    """Lines of other backups; those of which no backup came are left out."""
    return [line for line in earlier if line.get("label") not in (None, backup.label)]


# --- the catalogue's line ---------------------------------------------------------------------------------------------


def line(
    *, stanza: str, repo: int, wanted: str, began_utc: str, utc: str, by: str, checks: t.Sequence[Check], took: float
) -> dict[str, t.Any]:
    """A line of which no backup came; :func:`described` adds what a backup says of itself."""
    nothing = ("label", "type", "size", "repository_size", "timeline", "start_lsn", "stop_lsn", "start_segment",
               "stop_segment", "system_id", "key_id", "manifest_sha256", "from", "wal_bytes_since_last")  # fmt: skip
    return {
        "schema": SCHEMA,
        "utc": utc,
        "began_utc": began_utc,
        "stanza": stanza,
        "repo": repo,
        "wanted": wanted,
        **dict.fromkeys(nothing),
        "versions": {},
        "verdict": verdict_of(checks).value,
        "checks": [check.as_dict() for check in checks],
        "seconds": round(took, 3),
        "by": by,
    }


def described(facts: Facts) -> dict[str, t.Any]:
    """What is known of a backup, in the words of the catalogue."""
    backup, manifest = facts.backup, facts.manifest
    versions = {"pgbackrest": "backrest-version", "postgresql": "db-version"}
    return {
        "label": backup.label,
        "type": backup.type,
        "size": backup.size,
        "repository_size": backup.alone,
        "timeline": backup.timeline,
        "start_lsn": lsn_text(backup.start_lsn),
        "stop_lsn": lsn_text(backup.stop_lsn),
        "start_segment": backup.start_segment,
        "stop_segment": backup.stop_segment,
        "system_id": None if facts.database is None else str(facts.database.system_id),
        "versions": {word: manifest.text(key) for word, key in versions.items()} if manifest is not None else {},
        "manifest_sha256": None if manifest is None else manifest.sha256,
        "wal_bytes_since_last": wal_since(facts),
    }


def wal_since(facts: Facts) -> int | None:
    """Bytes of WAL between the ends of this backup and of the one before it; None for a first, or another cluster's."""
    system = None if facts.database is None else str(facts.database.system_id)
    before = [line for line in others(facts.earlier, facts.backup) if line.get("system_id") == system]
    return facts.backup.stop_lsn - lsn_number(before[-1]["stop_lsn"]) if before else None


def unlisted(backups: t.Sequence[Backup], lines: t.Sequence[Line]) -> list[Backup]:
    """Backups that the catalogue does not know: a playbook took them, or somebody by hand, or their run was killed."""
    known = {line.get("label") for line in lines}
    return [backup for backup in backups if backup.label not in known]


def taken_up(wanted: str, cut_off: Line | None) -> str:
    """What this run takes: pgBackRest resumes only what is of the same type, and throws away what is of another.

    A run that has itself taken up another and was cut off again is not taken up: it may be what kills the host.
    """
    before = str((cut_off or {}).get("wanted", ""))
    if cut_off is None or cut_off.get("takes_up") or RANK.get(before, -1) <= RANK[wanted]:
        return wanted
    return before


def seconds(utc: str) -> float:
    """``2026-11-26T12:00:00Z`` as seconds since 1970."""
    return datetime.fromisoformat(utc).timestamp()


def utc(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), timezone.utc).isoformat().replace("+00:00", "Z")


def time_left(elapsed: float, percent: float | None) -> float | None:
    """Seconds that a backup still takes if it goes on as it went; None before it has shown how it goes."""
    if percent is None or percent < 1 or elapsed <= 0:
        return None
    return elapsed * (100 - min(percent, 100.0)) / percent


# --- where pages are read from ----------------------------------------------------------------------------------------


def standby(members: t.Sequence[Member], *, behind: int = 4 * SEGMENT_SIZE) -> tuple[str | None, str]:
    """The standby that pgBackRest would read, if that is a healthy one, and else why the primary has to be read.

    pgBackRest takes the first that it reaches, in its configuration's order, and waits until that has replayed the
    backup's start.

    :param behind: bytes that it may lag; what lags more would be waited for in vain.
    """
    primary = next((one for one in members if one.standing is Standing.PRIMARY), None)
    first = next((one for one in members if one.standing is Standing.STANDBY), None)
    if primary is None or first is None:
        return None, "no member is seen as primary" if primary is None else "no standby is seen"
    if first.receiving_from is None:
        return None, f"{first.name} does not stream"
    if first.replay_paused:
        return None, f"{first.name} does not replay"
    lag = lsn_number(primary.written_lsn or "0/0") - lsn_number(first.replayed_lsn or "0/0")
    if lag > behind:
        return None, f"{first.name} is {lag} bytes behind"
    return first.name, ""


def another_source_may_help(complaint: str) -> bool:
    """Whether a backup from a standby failed of the standby, and not of a repository that the primary can't change."""
    found = meaning(complaint[complaint.find("ERROR:") :] if "ERROR:" in complaint else complaint)
    return found is None or found[0] in ("a host cannot be reached", "no primary could be reached")

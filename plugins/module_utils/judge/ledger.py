# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probe wrote down, against the rows that are really there.

Four sets, as Jepsen's set checker has them: **lost** (acknowledged, not there), **phantom** (there, though never tried
or certainly refused), **hole** (lost, though a later row of the same client and timeline is there) and **in doubt**
(tried, never answered). A ledger with a problem proves nothing: its verdict is unknown unless something is lost.

A restore to a point in time discards on purpose what was committed after that point. :class:`Cut` says where it lies:
rows before it must be there, rows after it must not, and a row whose commit cannot be placed is in doubt. A row's
commit record begins at or after the insert position its statement saw, and ends before the one that the same client
saw in its next statement on that timeline.
"""

from __future__ import annotations

import json
import typing as t
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

VERSION = 1
ACKED = ("acked", "acked_unsafe")
OUTCOMES = (*ACKED, "failed", "unknown")
#: How many members of a set are named in a result.
SAMPLE = 20
NANO = 1_000_000_000

Key = tuple[int, int]


def parse_lsn(text: str) -> int:
    """``0/3000060`` as a number of bytes.

    :raises ValueError: it is no LSN.
    """
    high, slash, low = text.partition("/")
    if not slash or not 1 <= len(high) <= 8 or not 1 <= len(low) <= 8:
        raise ValueError(f"not an LSN: {text!r}")
    return (int(high, 16) << 32) + int(low, 16)


@dataclass(frozen=True)
class Attempt:
    """One line of the ledger. Times are nanoseconds of the observer's monotonic clock."""

    client: int
    seq: int
    begin_ns: int
    end_ns: int
    outcome: str
    server: str | None = None
    timeline: int | None = None
    lsn: int | None = None
    error: str | None = None

    @property
    def key(self) -> Key:
        return self.client, self.seq

    @property
    def acked(self) -> bool:
        return self.outcome in ACKED

    def as_dict(self) -> dict[str, t.Any]:
        return {"client": self.client, "seq": self.seq, "outcome": self.outcome, "end_ns": self.end_ns}


@dataclass
class Ledger:
    """A ledger as read. ``problems`` says why it cannot be trusted; empty means that it is whole."""

    header: dict[str, t.Any] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    outages: list[dict[str, t.Any]] = field(default_factory=list)
    stalls: list[dict[str, t.Any]] = field(default_factory=list)
    footer: dict[str, t.Any] | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def outcomes(self) -> dict[str, int]:
        counted = Counter(attempt.outcome for attempt in self.attempts)
        return {outcome: counted[outcome] for outcome in OUTCOMES}

    def last_seq(self) -> dict[int, int]:
        """The newest sequence number of each client."""
        last: dict[int, int] = {}
        for attempt in self.attempts:
            last[attempt.client] = max(attempt.seq, last.get(attempt.client, 0))
        return last


def parse(lines: t.Iterable[str]) -> Ledger:
    """Read a ledger. Never raises: what is wrong with it is in ``problems``."""
    ledger = Ledger()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            _file(ledger, record)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            ledger.problems.append(f"line {number} cannot be read ({type(error).__name__})")
    ledger.problems += [*_header_problems(ledger), *_footer_problems(ledger), *_sequence_problems(ledger)]
    return ledger


def _file(ledger: Ledger, record: dict[str, t.Any]) -> None:
    kind = record.get("type")
    if ledger.footer is not None:
        raise ValueError("a line after the footer")
    if kind == "header":
        if ledger.header:
            raise ValueError("a second header")
        ledger.header = record
    elif kind == "footer":
        ledger.footer = record
    elif kind == "outage":
        ledger.outages.append({key: record[key] for key in ("t1_ns", "t2_ns", "t3_ns", "rule")})
    elif kind == "stall":
        ledger.stalls.append({key: int(record[key]) for key in ("begin_ns", "end_ns")})
    elif kind is None:
        ledger.attempts.append(_attempt(record))
    elif kind != "recovered":
        raise ValueError(f"unknown type {kind}")


def _attempt(record: dict[str, t.Any]) -> Attempt:
    numbers = {key: record[key] for key in ("client", "seq", "begin_ns", "end_ns")}
    for key, value in numbers.items():
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"{key} is {value!r}")
    if record["outcome"] not in OUTCOMES:
        raise ValueError(f"unknown outcome {record['outcome']!r}")
    acked = record["outcome"] in ACKED
    return Attempt(
        **numbers,
        outcome=record["outcome"],
        server=record["server"],
        timeline=int(record["timeline"]) if acked else None,
        lsn=parse_lsn(record["lsn"]) if acked else None,
        error=record["error"],
    )


def _header_problems(ledger: Ledger) -> list[str]:
    header = ledger.header
    if not header:
        return ["it has no header"]
    wanted = ("run", "clients", "interval_seconds", "begin_ns", "boot_id")
    missing = [key for key in wanted if key not in header]
    if missing:
        return [f"its header lacks {', '.join(missing)}"]
    if header.get("version") != VERSION:
        return [f"it is of version {header.get('version')!r}, not {VERSION}"]
    return []


def _footer_problems(ledger: Ledger) -> list[str]:
    footer = ledger.footer
    if footer is None:
        return ["it has no footer: the probe stopped early"]
    problems = []
    if footer.get("reason") != "asked":
        problems.append(f"the probe stopped by itself ({footer.get('reason')})")
    if footer.get("attempts") != len(ledger.attempts):
        problems.append(f"its footer counts {footer.get('attempts')} attempts, the file holds {len(ledger.attempts)}")
    return problems


def _sequence_problems(ledger: Ledger) -> list[str]:
    """Each client's sequence numbers are 1, 2, 3 … and its attempts follow one another in time."""
    problems = []
    by_client: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in ledger.attempts:
        by_client[attempt.client].append(attempt)
    for client, attempts in sorted(by_client.items()):
        if client >= int(ledger.header.get("clients", 0)):
            problems.append(f"client {client} is not one of the run's")
        if [attempt.seq for attempt in attempts] != list(range(1, len(attempts) + 1)):
            problems.append(f"the sequence numbers of client {client} have gaps, repeats or the wrong order")
        moment = int(ledger.header.get("begin_ns", 0))
        for attempt in attempts:
            if not moment <= attempt.begin_ns <= attempt.end_ns:
                problems.append(f"the clock of client {client} went backwards at attempt {attempt.seq}")
                break
            moment = attempt.end_ns
    return problems


# --- the comparison ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """Where a restore to a point in time stopped: a position on the timeline that was left behind.

    ``lsn`` is a record boundary. ``inclusive`` is PostgreSQL's recovery_target_inclusive: the first record that begins
    at or after ``lsn`` is still applied.
    """

    lsn: int
    timeline: int
    inclusive: bool = True

    @classmethod
    def of(cls, given: t.Mapping[str, t.Any]) -> Cut:
        """From ``{"lsn": "0/3000060", "timeline": 2, "inclusive": true}``.

        :raises ValueError: a part is missing or malformed.
        """
        try:
            lsn, timeline = parse_lsn(str(given["lsn"])), int(given["timeline"])
        except KeyError as error:
            raise ValueError(f"a cut needs {error}") from error
        return cls(lsn, timeline, bool(given.get("inclusive", True)))


@dataclass
class Sets:
    """The ledger's attempts and the table's rows, sorted by what they mean."""

    kept: int = 0
    lost: list[Attempt] = field(default_factory=list)
    phantom: list[tuple[Key, str]] = field(default_factory=list)
    hole: list[Attempt] = field(default_factory=list)
    doubt_present: int = 0
    doubt_absent: int = 0
    discarded: list[Attempt] = field(default_factory=list)
    undead: list[Attempt] = field(default_factory=list)
    at_cut_present: int = 0
    at_cut_absent: int = 0
    rpo_wal_bytes: int | None = None
    rpo_seconds: float | None = None
    discarded_seconds: float = 0.0

    def as_dict(self) -> dict[str, t.Any]:
        """Counts, and the first few of each set by name."""

        def named(attempts: t.Sequence[Attempt]) -> dict[str, t.Any]:
            return {"count": len(attempts), "sample": [attempt.as_dict() for attempt in attempts[:SAMPLE]]}

        phantoms = [{"client": key[0], "seq": key[1], "reason": reason} for key, reason in self.phantom[:SAMPLE]]
        return {
            "kept": self.kept,
            "lost": {**named(self.lost), "acked_unsafe": sum(a.outcome == "acked_unsafe" for a in self.lost)},
            "phantom": {"count": len(self.phantom), "sample": phantoms},
            "hole": named(self.hole),
            "in_doubt": {"present": self.doubt_present, "absent": self.doubt_absent},
            "discarded": {**named(self.discarded), "seconds": self.discarded_seconds},
            "undead": named(self.undead),
            "at_cut": {"present": self.at_cut_present, "absent": self.at_cut_absent},
        }


def listed(attempts: t.Iterable[Attempt]) -> str:
    """Each of them as a line of JSON, in the words of the ledger; a result names the first few only."""
    return "".join(json.dumps(_line(attempt)) + "\n" for attempt in attempts)


def _line(attempt: Attempt) -> dict[str, t.Any]:
    lsn = None if attempt.lsn is None else f"{attempt.lsn >> 32:X}/{attempt.lsn & 0xFFFFFFFF:X}"
    times = {"begin_ns": attempt.begin_ns, "end_ns": attempt.end_ns}
    where = {"server": attempt.server, "timeline": attempt.timeline, "lsn": lsn}
    return {"client": attempt.client, "seq": attempt.seq, "outcome": attempt.outcome, **times, **where}


def compare(ledger: Ledger, rows: t.Iterable[Key], cut: Cut | None = None) -> Sets:
    """Sort every attempt and every row into its set.

    :param rows: (client, seq) of each row of this run, read on the primary after recovery.
    :param cut: where a restore to a point in time stopped, if there was one.
    """
    counted = Counter(rows)
    sets = Sets()
    latest = _latest_present(ledger, counted)
    uppers = _commit_bounds(ledger)
    for attempt in ledger.attempts:
        present = attempt.key in counted
        if not attempt.acked:
            _sort_unacknowledged(sets, attempt, present)
            continue
        side = _side(attempt, uppers.get(attempt.key), cut)
        if side == "at":
            sets.at_cut_present += present
            sets.at_cut_absent += not present
        elif side == "after":
            (sets.undead if present else sets.discarded).append(attempt)
        elif present:
            sets.kept += 1
        else:
            sets.lost.append(attempt)
            if attempt.seq < latest.get((attempt.client, t.cast(int, attempt.timeline)), 0):
                sets.hole.append(attempt)
    _sort_strangers(sets, ledger, counted)
    _measure(sets, ledger, counted)
    return sets


def _sort_unacknowledged(sets: Sets, attempt: Attempt, present: bool) -> None:
    if attempt.outcome == "unknown":
        sets.doubt_present += present
        sets.doubt_absent += not present
    elif present:
        sets.phantom.append((attempt.key, "the server had refused it"))


def _sort_strangers(sets: Sets, ledger: Ledger, counted: Counter[Key]) -> None:
    """Rows that no attempt explains. One attempt beyond an unfinished ledger may have been under way when it ended."""
    known = {attempt.key for attempt in ledger.attempts}
    last = ledger.last_seq()
    clients = int(ledger.header.get("clients", 0))
    for key, times in sorted(counted.items()):
        client, seq = key
        if times > 1:
            sets.phantom.append((key, f"it is there {times} times"))
        if key in known:
            continue
        if ledger.footer is None and client < clients and seq == last.get(client, 0) + 1:
            sets.doubt_present += 1
        else:
            sets.phantom.append((key, "it was never tried"))


def _latest_present(ledger: Ledger, counted: Counter[Key]) -> dict[tuple[int, int], int]:
    """(client, timeline) -> the newest of its acknowledged rows that is there."""
    latest: dict[tuple[int, int], int] = {}
    for attempt in ledger.attempts:
        if attempt.timeline is not None and attempt.key in counted:
            place = (attempt.client, attempt.timeline)
            latest[place] = max(attempt.seq, latest.get(place, 0))
    return latest


def _commit_bounds(ledger: Ledger) -> dict[Key, int]:
    """Where an acknowledged commit has ended at the latest: the position its client saw next on that timeline."""
    bounds: dict[Key, int] = {}
    previous: dict[int, Attempt] = {}
    for attempt in ledger.attempts:
        if not attempt.acked:
            continue
        before = previous.get(attempt.client)
        if before is not None and before.timeline == attempt.timeline and attempt.lsn is not None:
            bounds[before.key] = attempt.lsn
        previous[attempt.client] = attempt
    return bounds


def _side(attempt: Attempt, upper: int | None, cut: Cut | None) -> str:
    """``before``, ``at`` or ``after`` the cut. What was written on a later timeline came after the restore."""
    lsn, timeline = attempt.lsn, attempt.timeline
    if cut is None or lsn is None or timeline is None or timeline != cut.timeline:
        return "before"
    if lsn > cut.lsn or (lsn == cut.lsn and not cut.inclusive):
        return "after"
    if upper is not None and upper <= cut.lsn:
        return "before"
    return "at"


def _measure(sets: Sets, ledger: Ledger, counted: Counter[Key]) -> None:
    """The RPO's seconds and WAL bytes, and how much time a cut discarded.

    Seconds run from the begin of the oldest lost attempt to the end of the newest lost one on its timeline, so that
    even one lost row counts for the time it took. WAL bytes run from the newest row that survived on that timeline to
    the newest that was lost.
    """
    sets.rpo_seconds, sets.rpo_wal_bytes = 0.0, 0
    for timeline in {attempt.timeline for attempt in sets.lost}:
        lost = [attempt for attempt in sets.lost if attempt.timeline == timeline]
        sets.rpo_seconds = max(sets.rpo_seconds, _span_seconds(lost))
        sets.rpo_wal_bytes += _lost_bytes(lost, ledger, counted, timeline)
    if sets.discarded:
        sets.discarded_seconds = _span_seconds(sets.discarded)


def _span_seconds(attempts: t.Sequence[Attempt]) -> float:
    return (max(one.end_ns for one in attempts) - min(one.begin_ns for one in attempts)) / NANO


def _lost_bytes(lost: t.Sequence[Attempt], ledger: Ledger, counted: Counter[Key], timeline: int | None) -> int:
    newest_lost = max(attempt.lsn or 0 for attempt in lost)
    oldest_lost = min(attempt.lsn or 0 for attempt in lost)
    survivors = [
        attempt.lsn or 0
        for attempt in ledger.attempts
        if attempt.acked and attempt.timeline == timeline and attempt.key in counted
    ]
    newest_kept = max((lsn for lsn in survivors if lsn < newest_lost), default=oldest_lost)
    return newest_lost - min(newest_kept, oldest_lost)


# --- the verdict ------------------------------------------------------------------------------------------------------


def checks(ledger: Ledger, sets: Sets | None, *, why_unread: str = "") -> list[Check]:
    """What the comparison proves.

    :param sets: ``None`` if the rows could not be read; ``why_unread`` says why.
    """
    if sets is None:
        return [Check("rows_compared", Verdict.UNKNOWN, why_unread or "the rows could not be read")]
    outcomes = ledger.outcomes
    acked = outcomes["acked"] + outcomes["acked_unsafe"]
    found = [_ledger_check(ledger, acked)]
    whole = found[0].verdict is Verdict.PASSED
    found.append(
        _none(
            "acknowledged_is_there",
            len(sets.lost),
            whole,
            f"{len(sets.lost)} of {acked} acknowledged rows are lost",
            f"all of the {sets.kept} acknowledged rows that must be there are there",
        )
    )
    found.append(
        _none(
            "nothing_invented",
            len(sets.phantom),
            whole,
            f"{len(sets.phantom)} rows are there that nobody may have committed",
            "every row that is there was tried, and none was refused",
        )
    )
    found.append(
        _none(
            "no_holes",
            len(sets.hole),
            whole,
            f"{len(sets.hole)} rows are missing though later ones of the same client and timeline are there",
            "no row is missing before one that is there",
        )
    )
    found.append(_safety(sets, outcomes["acked_unsafe"], whole))
    if sets.discarded or sets.undead or sets.at_cut_present or sets.at_cut_absent:
        found.append(
            _none(
                "restore_stopped_at_its_target",
                len(sets.undead),
                whole,
                f"{len(sets.undead)} rows from after the restore's target are there",
                f"none of the {len(sets.discarded)} rows from after the restore's target is there",
            )
        )
    return found


def _ledger_check(ledger: Ledger, acked: int) -> Check:
    if ledger.problems:
        shown = "; ".join(ledger.problems[:3])
        more = f" (and {len(ledger.problems) - 3} more)" if len(ledger.problems) > 3 else ""
        return Check("ledger_whole", Verdict.UNKNOWN, f"the ledger proves nothing: {shown}{more}")
    if not acked:
        return Check("ledger_whole", Verdict.UNKNOWN, "nothing was acknowledged, so nothing could be lost")
    return Check("ledger_whole", Verdict.PASSED, f"{len(ledger.attempts)} attempts, {acked} acknowledged")


def _none(name: str, count: int, whole: bool, bad: str, good: str) -> Check:
    if count:
        return Check(name, Verdict.FAILED, bad)
    if not whole:
        return Check(name, Verdict.UNKNOWN, f"{good}, as far as the ledger goes")
    return Check(name, Verdict.PASSED, good)


def _safety(sets: Sets, unsafe: int, whole: bool) -> Check:
    name = "acknowledged_safely"
    lost = sum(attempt.outcome == "acked_unsafe" for attempt in sets.lost)
    if lost:
        return Check(name, Verdict.FAILED, f"{lost} commits were acknowledged without their standby, and are lost")
    if unsafe or not whole:
        reason = (
            f"{unsafe} commits were acknowledged without their standby; none is lost, by luck"
            if unsafe
            else ("no commit was acknowledged without its standby, as far as the ledger goes")
        )
        return Check(name, Verdict.UNKNOWN, reason)
    return Check(name, Verdict.PASSED, "no commit was acknowledged without the standby it waited for")

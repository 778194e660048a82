# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain T0 … T11 of a recovery, out of the probe's ledger and of marks.

T1, T2, T7 and T8 are what clients felt: they come from the ledger alone. T3 is the observer's own stamp. The others
are marks: moments placed on the observer's monotonic clock, each with its error bound. The RTO is T7 − T1.
"""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.ledger import NANO, Attempt, Ledger
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

#: The phases in order, by their words.
PHASES = {
    "t0": "fault",
    "t1": "last_ack",
    "t2": "first_failure",
    "t3": "detected",
    "t4": "fenced",
    "t5": "promote_asked",
    "t6": "writable",
    "t7": "first_ack",
    "t8": "load_back",
    "t9": "redundancy_back",
    "t10": "archiving_back",
    "t11": "new_backup",
}
#: Phases that only the ledger may say.
FELT = ("t1", "t2", "t7", "t8")
#: How many gaps a summary keeps.
GAPS = 20
#: The longest that the probe may have stood still itself, in seconds, before its account is worth nothing.
BLIND_LIMIT = 1.0
#: How far the observer's wall clock may move against the monotonic one, in seconds; a clock daemon slews both alike.
CLOCK_LIMIT = 0.5


@dataclass(frozen=True)
class Gap:
    """No client had a commit acknowledged between ``t1_ns`` and ``t7_ns`` (``None``: never again).

    ``t2_ns``: the first attempt that ended without success. ``t8_ns``: every client had one acknowledged again.
    """

    t1_ns: int
    t2_ns: int | None
    t3_ns: int | None
    t7_ns: int | None
    t8_ns: int | None
    seconds: float
    failed: int
    unknown: int

    def as_dict(self) -> dict[str, t.Any]:
        return asdict(self)

    @classmethod
    def of(cls, given: t.Mapping[str, t.Any]) -> Gap:
        return cls(**{name: given[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Mark:
    """A moment on the observer's monotonic clock; it happened within ``error_seconds`` of ``monotonic_ns``."""

    monotonic_ns: int
    error_seconds: float = 0.0
    source: str = ""


def gaps(ledger: Ledger) -> list[Gap]:
    """The gaps between two acknowledgements of any client that were detected as outages, and the longest others, in the
    order of time."""
    acks = sorted((attempt for attempt in ledger.attempts if attempt.acked), key=lambda one: one.end_ns)
    if not acks:
        return []
    spans: list[tuple[int, int | None]] = [(a.end_ns, b.end_ns) for a, b in itertools.pairwise(acks)]
    end_ns = _end(ledger)
    spans.append((acks[-1].end_ns, None))
    by_length = sorted(spans, key=lambda span: (span[1] or end_ns) - span[0], reverse=True)
    moments = [outage["t3_ns"] for outage in ledger.outages]
    kept = {span for span in spans if any(span[0] < moment <= (span[1] or end_ns) for moment in moments)}
    kept.update(by_length[: max(0, GAPS - len(kept))])
    failures = [attempt for attempt in ledger.attempts if not attempt.acked]
    return [_gap(ledger, span, end_ns, acks, failures) for span in sorted(kept, key=lambda span: span[0])]


def _end(ledger: Ledger) -> int:
    """When the probe looked last."""
    last = max((attempt.end_ns for attempt in ledger.attempts), default=0)
    return max(last, int((ledger.footer or {}).get("end_ns", 0)))


def _gap(
    ledger: Ledger,
    span: tuple[int, int | None],
    end_ns: int,
    acks: t.Sequence[Attempt],
    failures: t.Sequence[Attempt],
) -> Gap:
    t1_ns, t7_ns = span
    until = end_ns if t7_ns is None else t7_ns
    within = [attempt for attempt in failures if t1_ns < attempt.end_ns <= until]
    detected = [outage["t3_ns"] for outage in ledger.outages if t1_ns < outage["t3_ns"] <= until]
    return Gap(
        t1_ns=t1_ns,
        t2_ns=min((attempt.end_ns for attempt in within), default=None),
        t3_ns=min(detected, default=None),
        t7_ns=t7_ns,
        t8_ns=None if t7_ns is None else _all_back(ledger, acks, t7_ns),
        seconds=(until - t1_ns) / NANO,
        failed=sum(attempt.outcome == "failed" for attempt in within),
        unknown=sum(attempt.outcome == "unknown" for attempt in within),
    )


def _all_back(ledger: Ledger, acks: t.Sequence[Attempt], t7_ns: int) -> int | None:
    waiting = set(range(int(ledger.header.get("clients", 0))))
    for attempt in acks:
        if attempt.end_ns >= t7_ns:
            waiting.discard(attempt.client)
            if not waiting:
                return attempt.end_ns
    return None


def longest_stall_seconds(ledger: Ledger) -> float | None:
    """The longest that any one client had to wait for its next acknowledgement."""
    last: dict[int, int] = {}
    longest: int | None = None
    for attempt in ledger.attempts:
        if attempt.acked:
            if attempt.client in last:
                longest = max(longest or 0, attempt.end_ns - last[attempt.client])
            last[attempt.client] = attempt.end_ns
    end_ns = _end(ledger)
    for moment in last.values():
        longest = max(longest or 0, end_ns - moment)
    return None if longest is None else longest / NANO


def blind_seconds(ledger: Ledger) -> float:
    """The longest time in which the probe itself did nothing: no attempt under way, or its supervisor not running."""
    spans = sorted((attempt.begin_ns, attempt.end_ns) for attempt in ledger.attempts)
    idle = max((stall["end_ns"] - stall["begin_ns"] for stall in ledger.stalls), default=0)
    if spans:
        covered_to = int(ledger.header.get("begin_ns", spans[0][0]))
        for begin_ns, end_ns in spans:
            idle = max(idle, begin_ns - covered_to)
            covered_to = max(covered_to, end_ns)
        idle = max(idle, _end(ledger) - covered_to)
    return idle / NANO


def wall_clock_moved_seconds(ledger: Ledger) -> float | None:
    """How far somebody set the observer's wall clock during the run; it shows on labels, never in durations."""
    begin = ledger.header.get("realtime_minus_monotonic_ns")
    end = (ledger.footer or {}).get("realtime_minus_monotonic_ns")
    return None if begin is None or end is None else abs(end - begin) / NANO


def probe_checks(ledger: Ledger) -> list[Check]:
    """Did the probe itself keep going, on a clock that nobody touched?"""
    blind, moved = blind_seconds(ledger), wall_clock_moved_seconds(ledger)
    if blind > BLIND_LIMIT:
        kept = Check("probe_kept_trying", Verdict.UNKNOWN, f"the probe itself stood still for {blind:.3f} s")
    else:
        kept = Check("probe_kept_trying", Verdict.PASSED, f"never more than {blind:.3f} s without an attempt under way")
    if moved is None:
        clock = Check("observer_clock", Verdict.UNKNOWN, "the ledger does not say how the clocks stood at its end")
    elif moved > CLOCK_LIMIT:
        clock = Check("observer_clock", Verdict.UNKNOWN, f"the observer's wall clock was set by {moved:.3f} s")
    else:
        clock = Check("observer_clock", Verdict.PASSED, f"the observer's wall clock moved by {moved:.6f} s at most")
    return [kept, clock]


# --- the chain --------------------------------------------------------------------------------------------------------


def read_marks(given: t.Any) -> dict[str, Mark]:
    """Marks by phase (``t0`` … ``t11``, ``decided``; others are left aside), from
    ``{phase or word: {"monotonic_ns", "error_seconds", "source"}}`` or a list of the same with ``name`` in each. A mark
    that is ``None`` could not be placed on the observer's clock.

    :raises ValueError: a mark without a time.
    """
    entries = given.items() if isinstance(given, dict) else [(one.get("name"), one) for one in given or []]
    words = {word: phase for phase, word in PHASES.items()}
    marks = {}
    for name, value in entries:
        phase = words.get(name, name)
        if value is None or (phase not in PHASES and phase != "decided"):
            continue
        moment = value.get("monotonic_ns") if isinstance(value, dict) else None
        if moment is None:
            raise ValueError(f"the mark {name!r} has no monotonic_ns")
        marks[phase] = Mark(int(moment), float(value.get("error_seconds") or 0.0), str(value.get("source") or ""))
    return marks


@dataclass(frozen=True)
class Chain:
    """``seconds`` holds each phase since ``origin`` (T0; T1 where no fault was marked; else the first), or ``None``."""

    origin: str
    seconds: dict[str, float | None]
    errors: dict[str, float]
    decided: float | None
    rto_seconds: float | None
    decided_to_first_ack_seconds: float | None
    outage: Gap | None
    later: tuple[Gap, ...] = ()


def find_outage(found: t.Sequence[Gap], fault_ns: int | None, at_least_seconds: float) -> Gap | None:
    """The first gap after the fault that the observer detected as an outage; if it detected none, the longest gap after
    the fault, if it is long enough to be more than the probe's own beat.
    """
    candidates = [
        gap
        for gap in found
        if gap.seconds >= at_least_seconds and (fault_ns is None or gap.t7_ns is None or gap.t7_ns > fault_ns)
    ]
    detected = [gap for gap in candidates if gap.t3_ns is not None]
    if detected:
        return min(detected, key=lambda gap: gap.t1_ns)
    return max(candidates, key=lambda gap: gap.seconds, default=None)


def later_outages(found: t.Sequence[Gap], outage: Gap | None) -> list[Gap]:
    """Outages that were detected after the one that was recovered from, and in which attempts of clients failed."""
    if outage is None or outage.t7_ns is None:
        return []
    return [gap for gap in found if gap.t3_ns and gap.t1_ns >= outage.t7_ns and gap.failed + gap.unknown > 0]


def build(found: t.Sequence[Gap], marks: t.Mapping[str, Mark], *, at_least_seconds: float) -> Chain:
    """Put what clients felt and what was marked on one line.

    :param found: the gaps of the ledger, see :func:`gaps`.
    :param marks: see :func:`read_marks`; marks for what only the ledger may say are left aside.
    :param at_least_seconds: a shorter gap is no outage.
    """
    fault = marks.get("t0")
    outage = find_outage(found, fault.monotonic_ns if fault else None, at_least_seconds)
    moments: dict[str, int] = {phase: mark.monotonic_ns for phase, mark in marks.items() if phase not in FELT}
    errors = {phase: mark.error_seconds for phase, mark in marks.items() if phase not in FELT}
    if outage is not None:
        felt = {"t1": outage.t1_ns, "t2": outage.t2_ns, "t7": outage.t7_ns, "t8": outage.t8_ns}
        moments.update({phase: moment for phase, moment in felt.items() if moment is not None})
        if outage.t3_ns is not None:
            moments["t3"], errors["t3"] = outage.t3_ns, 0.0
    # Where no client felt an outage, and nobody marked a fault, the first phase that was seen is all there is.
    seen = sorted(moments.keys() & PHASES.keys(), key=lambda phase: moments[phase])
    origin = next((phase for phase in ("t0", "t1", *seen) if phase in moments), "t1")
    start = moments.get(origin)

    def since(phase: str) -> float | None:
        return None if start is None or phase not in moments else (moments[phase] - start) / NANO

    t1_ns, t7_ns, decided_ns = moments.get("t1"), moments.get("t7"), moments.get("decided")
    return Chain(
        origin=origin,
        seconds={phase: since(phase) for phase in PHASES},
        errors=errors,
        decided=since("decided"),
        rto_seconds=None if t1_ns is None or t7_ns is None else (t7_ns - t1_ns) / NANO,
        decided_to_first_ack_seconds=None if decided_ns is None or t7_ns is None else (t7_ns - decided_ns) / NANO,
        outage=outage,
        later=tuple(later_outages(found, outage)),
    )


def checks(chain: Chain, *, outage_expected: bool, required: t.Sequence[str] = ()) -> list[Check]:
    """Is the chain whole, and do its moments agree with each other?"""
    found = [_outage_check(chain, outage_expected), _order_check(chain, outage_expected)]
    if chain.later:
        again = max(chain.later, key=lambda gap: gap.seconds)
        since = (again.t1_ns - t.cast(int, t.cast(Gap, chain.outage).t7_ns)) / NANO
        reason = f"the service was gone again for {again.seconds:.3f} s, {since:.1f} s after it had come back"
        found.append(Check("recovery_held", Verdict.FAILED, reason))
    fenced, asked = chain.seconds["t4"], chain.seconds["t5"]
    if fenced is not None and asked is not None:
        slack = chain.errors.get("t4", 0.0) + chain.errors.get("t5", 0.0)
        late = fenced > asked + slack
        found.append(
            Check(
                "fenced_before_promotion",
                Verdict.FAILED if late else Verdict.PASSED,
                f"the old primary was proven fenced {abs(asked - fenced):.3f} s {'after' if late else 'before'} "
                f"promotion was asked for (error bound {slack:.3f} s)",
            )
        )
    unseen = [phase for phase in required if chain.seconds[phase] is None]
    return found + [
        Check(f"phase_{PHASES[phase]}", Verdict.UNKNOWN, f"{phase} ({PHASES[phase]}) was never seen")
        for phase in unseen
    ]


def _outage_check(chain: Chain, expected: bool) -> Check:
    name = "service_recovered"
    if chain.outage is None:
        if expected:
            return Check(name, Verdict.UNKNOWN, "no outage was found in the ledger: what was recovered from?")
        return Check(name, Verdict.PASSED, "clients felt no outage")
    if chain.outage.t7_ns is None:
        return Check(name, Verdict.FAILED, "no client had a commit acknowledged again")
    if chain.outage.t8_ns is None:
        return Check(name, Verdict.FAILED, "not every client had a commit acknowledged again")
    return Check(name, Verdict.PASSED, f"all clients commit again, after an outage of {chain.rto_seconds:.3f} s")


def _order_check(chain: Chain, outage_expected: bool) -> Check:
    """Moments that cannot be: an outage that began before its fault, a first ack before a writable server."""
    name = "chain_consistent"
    last_ack = chain.seconds["t1"]
    if chain.origin == "t0" and last_ack is not None and last_ack < -BLIND_LIMIT - chain.errors.get("t0", 0.0):
        return Check(name, Verdict.UNKNOWN, f"the outage began {-last_ack:.3f} s before the fault: it is another one")
    # Where no outage is meant to be, or it was decided on before anybody felt it, as for a restore, the observer may
    # notice a stall only after the new primary is there.
    felt, decided = chain.seconds["t3"], chain.decided
    noticed_late = not outage_expected or (felt is not None and decided is not None and decided < felt)
    order = ("t0", "t5", "t6", "t7", "t8") if noticed_late else ("t0", "t3", "t5", "t6", "t7", "t8")
    placed = [(phase, value) for phase in order if (value := chain.seconds[phase]) is not None]
    for (earlier, a), (later, b) in itertools.pairwise(placed):
        slack = chain.errors.get(earlier, 0.0) + chain.errors.get(later, 0.0)
        if a > b + slack:
            return Check(
                name, Verdict.UNKNOWN, f"{earlier} lies {a - b:.3f} s after {later} (error bound {slack:.3f} s)"
            )
    return Check(name, Verdict.PASSED, "the moments are in an order that can be")

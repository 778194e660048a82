# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.json: put together from the timeline, from what the operation reports, and from who ran it. Pure."""

from __future__ import annotations

import functools
import json
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import clocks, schema
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.hash_chain import Chain, Event
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.timeline import CONTROL
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst

Report = dict[str, t.Any]

SCHEMA = "fraiseql.resilience/report/1"
#: The schema ships with the playbooks: a folder that an installed collection always has.
SCHEMA_FILE = Path(__file__).resolve().parents[3] / "playbooks" / "schemas" / "report-1.json"
TOP = {f"t{number}" for number in range(len(clocks.PHASES))}
NANO = 1_000_000_000

#: Phases that the ledger and the observer's own stamp tell better than any mark.
FELT = frozenset({"t1", "t2", "t3", "t7", "t8"})
#: What an operation may report; the rest of the report is written here.
GIVEN = frozenset({
    "verdict", "rto_seconds", "rpo", "probe_interval_seconds", "chain", "decided_seconds", "zero", "checks",
    "transactions", "objectives", "versions", "approvals", "not_tested", "details",
})  # fmt: skip


@dataclass(frozen=True)
class Circumstances:
    """What is true of an operation whatever it finds."""

    operation: str
    scenario: str | None
    cluster: str
    folder: str
    operator: dict[str, t.Any]
    inventory: dict[str, t.Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    objectives: dict[str, t.Any] = field(default_factory=dict)
    key_fingerprint: str | None = None


@functools.cache
def report_schema() -> dict[str, t.Any]:
    loaded: dict[str, t.Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return loaded


def check_given(given: t.Mapping[str, t.Any]) -> None:
    """Is this something that an operation may report?

    :raises InputError: a name is unknown, a value is not what the schema says, or the verdict contradicts the checks.
    """
    unknown = sorted(set(given) - GIVEN)
    if unknown:
        raise InputError(
            "the report holds what has no place in it",
            given=", ".join(unknown),
            possible=", ".join(sorted(GIVEN)),
            next_step="put what is yours alone under 'details'",
        )
    whole = report_schema()
    wrong = [
        f"{name}{reason.removeprefix('the record')}" if reason.startswith("the record") else f"{name}.{reason}"
        for name, value in given.items()
        for reason in schema.violations(_complete(name, value), {**whole["properties"][name], "$defs": whole["$defs"]})
    ]
    if wrong:
        raise InputError("the report is not what the schema says: " + "; ".join(wrong[:5]), possible=SCHEMA)
    checks = as_checks(given.get("checks", []))
    if given.get("verdict") not in (None, worst(checks).value):
        raise InputError(
            f"the verdict '{given['verdict']}' contradicts the checks, whose worst is '{worst(checks).value}'",
            given=f"{len(checks)} checks",
            next_step="leave the verdict out: it follows from the checks",
        )


def _complete(name: str, value: t.Any) -> t.Any:
    """An operation may leave out what it does not know of rpo and chain."""
    blanks = {"rpo": ("transactions", "seconds", "wal_bytes"), "chain": sorted(TOP)}.get(name, ())
    return {**dict.fromkeys(blanks), **value} if isinstance(value, dict) else value


def of_judged(judged: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the judge of a recovery answered, as an operation reports it.

    :param judged: the whole result of the module recovery_objectives.
    """
    if not judged:
        return {}
    if "chain" not in judged or "checks" not in judged:
        raise InputError(
            "judged is not the result of recovery_objectives",
            given=", ".join(sorted(judged)),
            next_step="register that task and give its whole result",
        )
    same = ("rto_seconds", "rpo", "probe_interval_seconds", "chain", "decided_seconds", "checks", "objectives")
    given = {name: judged[name] for name in same if judged.get(name) is not None}
    given["transactions"] = judged.get("outcomes")
    outage, t1 = judged.get("outage"), judged["chain"].get("t1")
    if outage and t1 is not None:
        origin = clocks.PHASES[int(judged.get("chain_origin", "t0")[1:])]
        given["zero"] = _scale(origin, outage["t1_ns"] - round(t1 * NANO))
    kept = ("chain_errors", "longest_stall_seconds", "outage")
    given["details"] = {name: judged[name] for name in kept if judged.get(name) is not None}
    return given


def as_checks(given: t.Iterable[t.Mapping[str, t.Any]]) -> list[Check]:
    return [Check(one["name"], Verdict(one["verdict"]), one["reason"]) for one in given]


def merge(inner: t.Mapping[str, t.Any], outer: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What an operation reports, begun with what an operation inside it reported: a drill contains a failover.

    Checks and ``not_tested`` add up, a check of the same name is replaced; objectives, versions and details are merged;
    all else is the outer one's, where it says anything.
    """
    merged = {**inner, **{key: value for key, value in outer.items() if value is not None}}
    merged.pop("verdict", None)
    for key in ("objectives", "versions", "details"):
        merged[key] = {**inner.get(key, {}), **outer.get(key, {})}
    checks = {check["name"]: check for check in [*inner.get("checks", []), *outer.get("checks", [])]}
    merged["checks"] = list(checks.values())
    merged["not_tested"] = list(dict.fromkeys([*inner.get("not_tested", []), *outer.get("not_tested", [])]))
    return merged


def assemble(about: Circumstances, given: t.Mapping[str, t.Any], timeline: Chain, ended_utc: str) -> Report:
    """The whole report, valid by its schema.

    :param given: what :func:`check_given` let pass, merged with what nested operations reported.
    :raises InputError: it would not be valid.
    """
    events = timeline.events
    zero = given.get("zero") or _zero(events, given)
    chain = _complete("chain", _known(given.get("chain")) or _chain(events, zero))
    decided = given["decided_seconds"] if given.get("decided_seconds") is not None else _decided(events, zero)
    signed = about.key_fingerprint is not None
    checks = [*as_checks(given.get("checks", [])), *_own_checks(about, given, timeline)]
    rpo = _complete("rpo", given.get("rpo") or {})
    report: Report = {
        "schema": SCHEMA,
        "operation": about.operation,
        "scenario": about.scenario,
        "cluster": about.cluster,
        "verdict": worst(checks).value,
        "rto_seconds": _rto(given, chain),
        "rpo": rpo,
        "probe_interval_seconds": given.get("probe_interval_seconds"),
        "chain": {name: chain[name] for name in sorted(TOP, key=lambda name: int(name[1:]))},
        "decided_seconds": decided,
        "zero": zero,
        "checks": [check.as_dict() for check in checks],
        "transactions": given.get("transactions"),
        "objectives": {**about.objectives, **given.get("objectives", {})},
        "versions": {**about.versions, **given.get("versions", {})},
        "approvals": given.get("approvals", []),
        "not_tested": [*given.get("not_tested", []), *_not_tested(given, signed)],
        "summary": {},
        "began_utc": events[0]["utc"],
        "ended_utc": ended_utc,
        "duration_seconds": _duration(events),
        "operator": about.operator,
        "inventory": about.inventory,
        "clocks": [_clock(event) for event in events if event["kind"] == "clock"],
        "marks": _marks(events, zero),
        "failures": [_failure(event) for event in events if event["kind"] == "failure"],
        "evidence": {
            "folder": about.folder,
            "timeline_events": len(events),
            "timeline_head": timeline.head,
            "signed": signed,
            "key_fingerprint": about.key_fingerprint,
        },
        "details": given.get("details", {}),
    }
    report["summary"] = summary(report)
    wrong = schema.violations(report, report_schema())
    if wrong:
        raise InputError("the report is not what the schema says: " + "; ".join(wrong[:5]), possible=SCHEMA)
    return report


def summary(report: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """One row of the table over several drills."""
    chain = report["chain"]
    return {
        "detected_seconds": chain["t3"],
        "decided_to_first_ack_seconds": _minus(chain["t7"], report["decided_seconds"]),
        "rto_seconds": report["rto_seconds"],
        "lost_transactions": report["rpo"]["transactions"],
        "rpo_seconds": report["rpo"]["seconds"],
        "redundancy_back_seconds": chain["t9"],
        "archiving_back_seconds": chain["t10"],
    }


def _own_checks(about: Circumstances, given: t.Mapping[str, t.Any], timeline: Chain) -> t.Iterator[Check]:
    """What only the evidence itself can tell."""
    if not given.get("checks"):
        yield Check("something_was_checked", Verdict.UNKNOWN, "the operation reported no check, so nothing is proven")
    if about.operation == "drill" and (given.get("rpo") or {}).get("transactions") is None:
        yield Check("rows_compared", Verdict.UNKNOWN, "nobody looked for the acknowledged rows after the recovery")
    if timeline.problems:
        yield Check("timeline_whole", Verdict.FAILED, "; ".join(timeline.problems[:3]))
    if about.operation == "drill" and about.key_fingerprint is None:
        yield Check("evidence_signed", Verdict.UNKNOWN, "no key was given: anybody can have written this")


def _not_tested(given: t.Mapping[str, t.Any], signed: bool) -> t.Iterator[str]:
    if not signed:
        yield "who wrote this evidence: it is NOT SIGNED (resilience_evidence_key names no key)"
    if given.get("probe_interval_seconds") is None:
        yield "what clients felt: no probe ran"


def _rto(given: t.Mapping[str, t.Any], chain: t.Mapping[str, t.Any]) -> float | None:
    if given.get("rto_seconds") is not None:
        return t.cast(float, given["rto_seconds"])
    return _minus(chain["t7"], chain["t1"])


def _minus(end: float | None, begin: float | None) -> float | None:
    return None if end is None or begin is None else round(end - begin, 6)


def _zero(events: t.Sequence[Event], given: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """Where the scale of the chain begins on the observer's clock.

    Of a chain that was given, a phase that is both in it and marked tells. Without one, seconds are counted from the
    fault, else from the decision.
    """
    placed = clocks.marks(events)
    chain = _known(given.get("chain"))
    if not chain:
        names = [name for name in ("fault", "decided") if placed.get(name) is not None]
        return _scale(names[0], t.cast(clocks.Placed, placed[names[0]]).ns) if names else None
    known = {clocks.PHASES[int(name[1:])]: at for name, at in chain.items() if name not in FELT}
    known["decided"] = given.get("decided_seconds")
    origin = next((clocks.PHASES[int(name[1:])] for name, at in chain.items() if at == 0), "fault")
    for name, at in known.items():
        found = placed.get(name)
        if at is not None and found is not None:
            return _scale(origin, found.ns - round(at * NANO))
    return None


def _scale(mark: str, monotonic_ns: int) -> dict[str, t.Any]:
    return {"clock": clocks.OBSERVER, "monotonic_ns": monotonic_ns, "mark": mark}


def _chain(events: t.Sequence[Event], zero: t.Mapping[str, t.Any] | None) -> dict[str, float | None]:
    """The chain as it was marked, for an operation that reports none."""
    placed = clocks.marks(events)
    return {f"t{number}": _since(placed.get(name), zero) for number, name in enumerate(clocks.PHASES)}


def _known(chain: t.Mapping[str, float | None] | None) -> dict[str, float | None]:
    """The chain, unless it knows no phase at all: a judge that found no outage has no scale to put marks on."""
    return dict(chain) if chain and any(at is not None for at in chain.values()) else {}


def _decided(events: t.Sequence[Event], zero: t.Mapping[str, t.Any] | None) -> float | None:
    return _since(clocks.marks(events).get("decided"), zero)


def _since(placed: clocks.Placed | None, zero: t.Mapping[str, t.Any] | None) -> float | None:
    return None if placed is None or zero is None else round((placed.ns - zero["monotonic_ns"]) / NANO, 6)


def _duration(events: t.Sequence[Event]) -> float:
    """On the control node's clock alone: a mark made elsewhere may be the last event."""
    own: list[int] = [event["monotonic_ns"] for event in events if event["clock"] == CONTROL]
    return round((max(own) - own[0]) / NANO, 3)


def _clock(event: Event) -> dict[str, t.Any]:
    return {
        "clock": event["other_clock"],
        "host": event["host"],
        "utc": event["utc"],
        "offset_seconds": round(event["offset_ns"] / NANO, 9),
        "error_seconds": round(event["offset_error_ns"] / NANO, 9),
    }


def _marks(events: t.Sequence[Event], zero: t.Mapping[str, t.Any] | None) -> list[dict[str, t.Any]]:
    known = clocks.offsets(events)
    found = []
    for event in events:
        if event["kind"] == "mark":
            placed = clocks.place(event, known)
            found.append({
                "mark": event["mark"],
                "detail": event["detail"],
                "host": event["host"],
                "clock": event["clock"],
                "utc": event["utc"],
                "seconds": _since(placed, zero),
                "error_seconds": None if placed is None else round(placed.error_ns / NANO, 6),
            })  # fmt: skip
    return found


def _failure(event: Event) -> dict[str, t.Any]:
    return {key: event[key] for key in ("task", "host", "reason", "utc")}


def as_text(report: Report) -> bytes:
    """The report as it is written: readable, in the schema's order, the same bytes for the same report."""
    return (json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One recovery, judged: the probe's account, marks and objectives make the chain, the checks and the verdict."""

from __future__ import annotations

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import chain, objectives
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst

#: A gap between acknowledgements shorter than this many intervals, or than the seconds, is the probe's own beat.
OUTAGE_INTERVALS = 4
OUTAGE_SECONDS = 0.25
#: The check that acknowledged rows are there, as judge/ledger.py calls it.
LOSS = "acknowledged_is_there"
#: The check that the probe was at work all the time, as judge/chain.py calls it.
AT_WORK = "probe_kept_trying"


class Request(t.NamedTuple):
    """What an operation asks the judge."""

    marks: t.Any
    objectives: dict[str, t.Any]
    outage_expected: bool = True
    failures_allowed: bool = True
    required: tuple[str, ...] = ()
    accepted_loss: str | None = None
    more_checks: tuple[dict[str, str], ...] = ()


def judge(account: t.Mapping[str, t.Any], request: Request) -> dict[str, t.Any]:
    """The measured part of a report.

    :param account: what :func:`probe_account.account` answered: ``probe`` and ``checks``.
    :raises ValueError: marks, phases, checks or objectives that make no sense.
    """
    if wrong := objectives.problems(request.objectives):
        raise ValueError("; ".join(wrong))
    if strange := [phase for phase in request.required if phase not in chain.PHASES]:
        raise ValueError(f"{', '.join(strange)} is no phase; possible: {', '.join(chain.PHASES)}")
    probe = account["probe"]
    interval = probe.get("interval_seconds")
    least = max(OUTAGE_SECONDS, OUTAGE_INTERVALS * (interval or 0.0))
    gaps = [chain.Gap.of(gap) for gap in probe["gaps"]]
    built = chain.build(gaps, chain.read_marks(request.marks), at_least_seconds=least)
    rpo = probe.get("rpo") or {"transactions": None, "seconds": None, "wal_bytes": None}
    measured = objectives.Measured(_rto(built, gaps, request), rpo["seconds"], rpo["transactions"], interval)
    found = [
        *(_weighed(check_of(one), request, measured, probe.get("blind_seconds")) for one in account["checks"]),
        *chain.checks(built, outage_expected=request.outage_expected, required=request.required),
        *([] if request.failures_allowed else [_unharmed(probe)]),
        *objectives.judge(request.objectives, measured),
        *(check_of(one) for one in request.more_checks),
    ]
    return {
        "verdict": worst(found).value,
        "rto_seconds": measured.rto_seconds,
        "rpo": rpo,
        "probe_interval_seconds": interval,
        "chain": built.seconds,
        "chain_origin": built.origin,
        "chain_errors": built.errors,
        "decided_seconds": built.decided,
        "decided_to_first_ack_seconds": built.decided_to_first_ack_seconds,
        "longest_stall_seconds": probe.get("longest_stall_seconds"),
        "outage": None if built.outage is None else built.outage.as_dict(),
        "outcomes": probe.get("outcomes"),
        "checks": [check.as_dict() for check in found],
        "objectives": dict(request.objectives),
    }


def check_of(given: t.Mapping[str, t.Any]) -> Check:
    """:raises ValueError: it is no check."""
    try:
        return Check(str(given["name"]), Verdict(given["verdict"]), str(given["reason"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"a check needs name, verdict and reason: {given!r}") from error


def _weighed(check: Check, request: Request, measured: objectives.Measured, blind_seconds: float | None) -> Check:
    """What a check by itself cannot know: what somebody took on beforehand, and how much room the objectives leave."""
    if check.name == LOSS and check.verdict is Verdict.FAILED:
        return _taken_on(check, request)
    if check.name == AT_WORK and check.verdict is Verdict.UNKNOWN:
        return _within(check, request.objectives.get("rto_seconds"), measured.rto_seconds, blind_seconds)
    return check


def _taken_on(check: Check, request: Request) -> Check:
    """A loss that somebody took on before it happened is not a failure by itself: the RPO says whether it is one."""
    if not request.accepted_loss or request.objectives.get("rpo_seconds") is None:
        return check
    return Check(LOSS, Verdict.PASSED, f"{check.reason}, which was accepted beforehand ({request.accepted_loss})")


def _within(check: Check, objective: float | None, rto: float | None, blind: float | None) -> Check:
    """While the probe stood still an outage was longer than it saw, or went unseen: by that time at most."""
    if objective is None or rto is None or blind is None or rto + blind > objective:
        return check
    room = f"no outage was longer than {rto + blind:.3f} s, and the objective is {objective:g} s"
    return Check(AT_WORK, Verdict.PASSED, f"{check.reason}; {room}")


def _rto(built: chain.Chain, gaps: t.Sequence[chain.Gap], request: Request) -> float | None:
    """T7 − T1. Where no outage need be, a gap too short to be one is the figure: clients waited that long at most."""
    if built.outage is not None or request.outage_expected:
        return built.rto_seconds
    return max((gap.seconds for gap in gaps if gap.t7_ns is not None), default=None)


def _unharmed(probe: t.Mapping[str, t.Any]) -> Check:
    outcomes = probe["outcomes"]
    harmed = outcomes["failed"] + outcomes["unknown"]
    if harmed:
        reason = f"{outcomes['failed']} attempts of clients failed, {outcomes['unknown']} got no answer"
        return Check("no_client_saw_an_error", Verdict.FAILED, reason)
    if not sum(outcomes.values()):
        return Check("no_client_saw_an_error", Verdict.UNKNOWN, "no client tried anything")
    return Check("no_client_saw_an_error", Verdict.PASSED, f"all {sum(outcomes.values())} attempts were acknowledged")

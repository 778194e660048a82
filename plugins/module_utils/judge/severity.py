# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How bad is it, by what users feel, which data are at risk, what redundancy is left, and how the budget goes? Pure.

    sev1    transactions fail, or data are being lost
    sev2    one more failure would do that
    sev3    something is wrong, and neither is so

What is not known does not make it better: whether transactions commit is asked for until somebody can say it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.observation import (
    AGENT,
    FAIL,
    GATEWAY,
    INHERITED,
    OBSERVER,
    PASS,
    UNKNOWN,
    WARN,
    Observation,
)

SEV1, SEV2, SEV3 = LEVELS = ("sev1", "sev2", "sev3")
#: Times the rate that the objective allows, as the alerts on the budget have them.
BURNS = ((14.4, SEV1), (6.0, SEV2), (1.0, SEV3))
#: Hazards and components that say by themselves how bad it is; the others only say that something is wrong.
_HAZARDS = {
    "two_primaries": (SEV1, "what one of two primaries acknowledges is lost"),
    "no_primary": (SEV1, "nothing can be written"),
    "no_synchronous_standby": (SEV1, "commits wait, and the primary alone has what they wrote"),
    "system_id_mismatch": (SEV1, "members hold different data"),
    "archiver_failing": (SEV2, "what is not archived is lost with the members"),
    "patroni_unconfirmed": (SEV2, "what commits now is lost with the primary"),
}
_COMPONENTS = {
    "checksums": (SEV1, "stored data are damaged"),
    "storage": (SEV1, "stored data cannot be read"),
    "archiving": (SEV2, "what is not archived is lost with the members"),
}

Reason = tuple[str, str]


@dataclass(frozen=True)
class Severity:
    """``level`` is None where nothing is wrong. ``computed``: without what a person said."""

    level: str | None
    computed: str | None
    reasons: tuple[str, ...]
    given: str | None = None
    given_reason: str = ""

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "severity": self.level,
            "severity_computed": self.computed,
            "severity_given": self.given,
            "severity_given_reason": self.given_reason,
            "severity_reasons": list(self.reasons),
        }


def computed(seen: Observation, budget_burn: float | None = None) -> Severity:
    """The worst of all that is so.

    :param budget_burn: times the rate of failures that the objective allows, where somebody knows it.
    """
    found = sorted([*_users(seen), *_data(seen), *_redundancy(seen), *_budget(budget_burn), *_alerts(seen)])
    if not found and seen.wrong:
        found = [(SEV3, f"something is wrong, and neither users nor data are known to feel it: {seen.wrong[0]}")]
    level = found[0][0] if found else None
    return Severity(level, level, tuple(f"{one}: {said}" for one, said in dict.fromkeys(found)))


def decided(by_facts: Severity, given: str | None, reason: str) -> Severity:
    """With the word of a person, who may raise it freely.

    :raises InputError: it would be lowered, and nobody says why.
    """
    if not given:
        return by_facts
    lower = by_facts.computed is not None and LEVELS.index(given) > LEVELS.index(by_facts.computed)
    if lower and not reason.strip():
        raise InputError(
            f"the facts say {by_facts.computed}, and less than that needs a reason: {'; '.join(by_facts.reasons)}",
            given=f"severity={given}",
            possible=f"{by_facts.computed} or worse; or a reason (severity_reason, resilience_severity_reason)",
            next_step="say why users and data are better off than the facts say, or leave the severity out",
        )
    said = f"{given}: a person says so" + (f": {reason.strip()}" if reason.strip() else "")
    return Severity(given, by_facts.computed, (said, *by_facts.reasons), given, reason.strip())


def _users(seen: Observation) -> Iterator[Reason]:
    """Do transactions commit, as the observers find it?"""
    told = [fact for fact in seen.facts if (fact.source, fact.name) == ("component", "heartbeat")]
    fail = [fact for fact in told if fact.status == FAIL]
    serve = [fact for fact in told if fact.status in (PASS, WARN)]
    if fail and serve:
        yield SEV2, f"transactions commit from some places and not from others: {fail[0]}"
    elif fail:
        yield SEV1, f"no transaction commits: {fail[0]}"
    elif any(fact.status == WARN for fact in serve):
        yield SEV3, f"transactions commit slowly: {serve[0]}"
    elif not serve and (seen.blind or any(_tells_nothing(host, seen) for host in seen.at(OBSERVER))):
        less = " through the gateway; the primary takes them" if seen.primary_seen else ""
        yield SEV3 if seen.primary_seen else SEV2, f"nobody knows whether transactions commit{less}"


def _tells_nothing(host: str, seen: Observation) -> bool:
    """Might this observer have a heartbeat that nobody was told of?"""
    blank = {fact.host for fact in seen.facts if fact.name == "heartbeat" and fact.status in (UNKNOWN, INHERITED)}
    return host in seen.dark or host in blank


def _data(seen: Observation) -> Iterator[Reason]:
    for fact in seen.facts:
        if fact.source == "hazard" and fact.name in _HAZARDS and fact.status != "unknown":
            level, why = _HAZARDS[fact.name]
            yield level, f"{why}: {fact}"
        elif fact.source == "component" and fact.name in _COMPONENTS and fact.status == FAIL:
            level, why = _COMPONENTS[fact.name]
            yield level, f"{why}: {fact}"


def _redundancy(seen: Observation) -> Iterator[Reason]:
    """Without any left, one more failure is an outage or a loss: that is an incident before anybody feels it."""
    wanted = seen.members - 1
    if seen.primary_seen and wanted and not seen.streaming:
        yield SEV2, "no redundancy is left: no standby receives WAL"
    elif seen.primary_seen and seen.streaming < wanted:
        yield SEV3, f"{seen.streaming} of {wanted} standbys receive WAL"
    gateways = seen.at(GATEWAY)
    left = [
        host for host in gateways if (AGENT, PASS) in {(one.name, one.status) for one in seen.facts if one.host == host}
    ]
    if len(gateways) > 1 and len(left) == 1:
        yield SEV2, f"no redundancy is left: of {len(gateways)} gateways only {left[0]} answers"


def _budget(burn: float | None) -> Iterator[Reason]:
    for limit, level in BURNS:
        if burn is not None and burn >= limit:
            yield level, f"the error budget goes {burn:g} times as fast as it may"
            return


def _alerts(seen: Observation) -> Iterator[Reason]:
    """Whoever wrote an alert has said how bad it is."""
    for fact in seen.facts:
        if fact.source == "alert" and fact.status in LEVELS:
            yield fact.status, str(fact)

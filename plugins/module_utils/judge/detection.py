# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runbook is it? What was seen is compared with the signs of each. Pure.

    score = there / (there + not there + unseen / 2 + unexplained / 4)

``there``, ``not there`` and ``unseen`` are weights of signs, and alerts that fire and that the runbook names;
``unexplained`` counts other things that are wrong. A runbook of which nothing wrong is there has no score.
"""

from __future__ import annotations

import enum
import re
import typing as t
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.observation import (
    AGENT,
    FAIL,
    GATEWAY,
    GONE,
    HOST,
    MEMBER,
    OBSERVER,
    PASS,
    POWER,
    PRIMARY,
    STANDBY,
    UNKNOWN,
    Fact,
    Observation,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, Sign

#: Above it, and first twice in a row, a runbook is recognised.
THRESHOLD = 0.5
#: Two looks at least so many seconds apart: what passes by itself is nobody's runbook.
APART = 1.0
_UNSEEN, _UNEXPLAINED = 0.5, 0.25
#: What an alert says that fires, and what a runbook loses that is for another engine.
_ALERT, _ENGINE = 2, 2
#: Hazards that are looked for whether or not there is a primary.
_WITHOUT_PRIMARY = re.compile(r"two_primaries|no_primary|member_\w+|system_id_mismatch|patroni_\w+")
#: Hazards that keep commits from happening.
_STOPS = re.compile(r"two_primaries|no_primary|no_synchronous_standby|member_\w+")

#: What else is wrong where a host of that kind fails, and is no cause: components with their kind of host, and hazards.
_FOLLOWS: t.Final[dict[str, frozenset[tuple[str, str]]]] = {
    PRIMARY: frozenset({
        ("heartbeat", OBSERVER), ("primaries", OBSERVER), ("login", PRIMARY), ("login", GATEWAY), ("haproxy", GATEWAY),
        ("pgbouncer", GATEWAY), ("heartbeat_seen", MEMBER), ("replication", STANDBY), ("postgresql", STANDBY),
        ("no_primary", ""),
    }),
    GATEWAY: frozenset({("heartbeat", OBSERVER), ("heartbeat_seen", MEMBER), ("login", GATEWAY)}),
    STANDBY: frozenset({("slots", PRIMARY), ("replication", PRIMARY), ("primaries", OBSERVER),
                        ("standby_not_streaming", "")}),
}  # fmt: skip


class State(enum.Enum):
    THERE = "there"
    ABSENT = "absent"
    UNSEEN = "unseen"


@dataclass(frozen=True)
class Compared:
    """A sign, whether it is there, and the facts that show it."""

    sign: Sign
    state: State
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Match:
    """How well a runbook fits. ``weight``: of the signs that are there."""

    book: Runbook
    score: float
    weight: float
    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]
    not_seen: tuple[str, ...]
    alerts: tuple[str, ...]
    unexplained: tuple[str, ...]

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "runbook": self.book.id,
            "title": self.book.title,
            "severity": self.book.severity,
            "severity_rule": self.book.severity_rule,
            "score": round(self.score, 2),
            "signs_for": list(self.speaks_for),
            "signs_against": list(self.speaks_against),
            "signs_unseen": list(self.not_seen),
            "alerts": list(self.alerts),
            "unexplained": list(self.unexplained),
        }


def ranked(books: Iterable[Runbook], seen: Observation) -> list[Match]:
    """The runbooks that anything speaks for, best first; whoever sees nothing knows of none."""
    if seen.blind:
        return []
    found = [one for one in (match(book, seen) for book in books) if one.score > 0]
    return sorted(found, key=lambda one: (-round(one.score, 6), -one.weight, one.book.severity, one.book.id))


def match(book: Runbook, seen: Observation) -> Match:
    signs = [compared(sign, seen) for sign in book.signs]
    alerts = [fact for fact in seen.facts if fact.source == "alert" and fact.name in book.alerts]
    named = sorted({fact.name for fact in alerts})
    there = [one for one in signs if one.state is State.THERE]
    shown = {fact for one in there for fact in one.facts} | set(alerts)
    left = [fact for fact in seen.wrong if fact not in _explained(book, shown, seen)]
    other_engine = seen.engine is not None and seen.engine not in book.engines
    weights = {state: sum(one.sign.weight for one in signs if one.state is state) for state in State}
    weight = weights[State.THERE] + _ALERT * len(named)
    lost = (
        weights[State.ABSENT]
        + _ENGINE * other_engine
        + _UNSEEN * weights[State.UNSEEN]
        + _UNEXPLAINED * len({(fact.source, fact.name) for fact in left})
    )
    against = [_missing(one.sign, seen) for one in signs if one.state is State.ABSENT]
    against += [f"it is for the engine {' or '.join(book.engines)}"] if other_engine else []
    return Match(
        book=book,
        score=weight / (weight + lost) if any(fact.wrong for fact in shown) else 0.0,
        weight=weight,
        speaks_for=tuple(str(fact) for one in there for fact in one.facts),
        speaks_against=tuple(against),
        not_seen=tuple(_wanted(one.sign) for one in signs if one.state is State.UNSEEN),
        alerts=tuple(named),
        unexplained=tuple(map(str, left)),
    )


# One sign -------------------------------------------------------------------------------------------------------------


def compared(sign: Sign, seen: Observation) -> Compared:
    if sign.any:
        return _any_of(sign, [compared(one, seen) for one in sign.any])
    return _hazard(sign, seen) if sign.hazard else _component(sign, seen)


def _any_of(sign: Sign, found: Sequence[Compared]) -> Compared:
    for state in (State.THERE, State.UNSEEN):
        facts = [one for one in found if one.state is state]
        if facts:
            return Compared(sign, state, tuple(fact for one in facts for fact in one.facts))
    return Compared(sign, State.ABSENT)


def _hazard(sign: Sign, seen: Observation) -> Compared:
    facts = [fact for fact in seen.facts if fact.source == "hazard" and fact.name == sign.hazard and _says(sign, fact)]
    if len(facts) >= (2 if sign.hosts else 1):
        return Compared(sign, State.THERE, tuple(facts))
    looked = seen.cluster_seen and (seen.primary_seen or _WITHOUT_PRIMARY.fullmatch(sign.hazard))
    return Compared(sign, State.ABSENT if looked else State.UNSEEN)


def _component(sign: Sign, seen: Observation) -> Compared:
    told = {fact.host: fact for fact in seen.facts if fact.source == "component" and fact.name == sign.component}
    hosts = seen.at(sign.at)
    shown = [host for host in hosts if host in told and told[host].status in sign.states and _says(sign, told[host])]
    untold = [host for host in hosts if host not in told and _may_have(sign.component, host, seen)]
    asked = [host for host in hosts if host in told or host in untold]
    needed = {"several": 2, "all": max(1, _count(sign, asked, seen))}.get(sign.hosts, 1)
    if _count(sign, shown, seen) >= needed:
        return Compared(sign, State.THERE, tuple(told[host] for host in shown))
    might = _count(sign, [*shown, *untold], seen) >= needed
    return Compared(sign, State.UNSEEN if might else State.ABSENT)


def _may_have(component: str, host: str, seen: Observation) -> bool:
    """Might a host show a component that nobody told anything about? Only who is gone is asked about its power."""
    if component == POWER:
        return any((fact.name, fact.host, fact.status) == (AGENT, host, GONE) for fact in seen.facts)
    return component == HOST or (component != AGENT and host in seen.dark)


def _count(sign: Sign, hosts: Sequence[str], seen: Observation) -> int:
    """One of the suspects is the primary, and so no standby."""
    suspects = len(seen.suspects.intersection(hosts)) if sign.at == STANDBY else 0
    return len(hosts) - (1 if suspects else 0)


def _says(sign: Sign, fact: Fact) -> bool:
    return not sign.says or re.search(sign.says, fact.reason) is not None


# In words -------------------------------------------------------------------------------------------------------------


def _wanted(sign: Sign) -> str:
    if sign.any:
        return " or ".join(map(_wanted, sign.any))
    said = f" that says {sign.says}" if sign.says else ""
    if sign.hazard:
        return f"hazard {sign.hazard}{said}"
    place = {"several": f"several {sign.at or 'host'}s", "all": f"every {sign.at or 'host'}"}.get(
        sign.hosts, sign.at or "any host"
    )
    return f"{sign.component} at {place}: {' or '.join(sign.states)}{said}"


def _missing(sign: Sign, seen: Observation) -> str:
    """What was wanted, and what there is in its place."""
    told = [fact for fact in seen.facts if fact.source == "component" and fact.name == sign.component]
    there = [f"{fact.host} {fact.status}" for fact in told if fact.host in seen.at(sign.at)]
    return f"not seen: {_wanted(sign)}" + (f"; it is {', '.join(there)}" if there else "")


# What is explained ----------------------------------------------------------------------------------------------------


def _explained(book: Runbook, shown: set[Fact], seen: Observation) -> set[Fact]:
    """What a runbook names, what is wrong with a host that it takes for gone, and what follows from both."""
    gone = {fact.host for fact in shown if _tells_gone(fact)}
    about = {fact for fact in seen.wrong if fact.host in gone and (fact.name == AGENT or fact.source == "hazard")}
    follows = set().union(*(_FOLLOWS.get(kind, frozenset()) for kind in _failing(shown | about, seen)))
    return (
        shown
        | about
        | {
            fact
            for fact in seen.wrong
            if (fact.source == "component" and fact.name in book.components)
            or any(_is(fact, name, kind, seen) for name, kind in follows)
        }
    )


def _tells_gone(fact: Fact) -> bool:
    """Its power is asked for where its agent is gone, and nowhere else."""
    if fact.source != "component":
        return False
    return fact.name == POWER or (fact.name in (AGENT, HOST, "postgresql") and fact.status != PASS)


def _failing(shown: Iterable[Fact], seen: Observation) -> Iterator[str]:
    """The kinds of host that fail, and do not only warn."""
    for fact in shown:
        if fact.source == "hazard" and _STOPS.fullmatch(fact.name):
            yield from seen.kinds[fact.host] if fact.host else (PRIMARY,)
        elif fact.source == "component" and fact.wrong and fact.status in (FAIL, UNKNOWN, GONE):
            yield from seen.kinds.get(fact.host, ())


def _is(fact: Fact, name: str, kind: str, seen: Observation) -> bool:
    return fact.name == name and (not kind or kind in seen.kinds.get(fact.host, ()))


# Over several looks ---------------------------------------------------------------------------------------------------


class Recognition:
    """Has the same runbook been first for long enough?"""

    def __init__(self) -> None:
        self._first = ""
        self._since = 0.0

    def told(self, found: Sequence[Match], moment: float) -> bool:
        """Is it recognised, by this look and those before it?

        :param moment: when this look began, on a monotonic clock.
        """
        first = found[0].book.id if found and found[0].score > THRESHOLD else ""
        if first != self._first:
            self._first, self._since = first, moment
            return False
        return bool(first) and moment - self._since >= APART


def verdict(seen: Observation, *, recognised: bool) -> str:
    """``passed`` where a runbook is recognised, or all was seen and nothing is wrong."""
    if recognised:
        return "passed"
    return "unknown" if seen.blind or seen.unseen or seen.wrong else "passed"


def left_to_people(books: Iterable[Runbook], seen: Observation) -> list[str]:
    """Runbooks that nothing that was looked at can tell: somebody has to notice."""
    return sorted(book.id for book in books if not book.signs and not (book.alerts and seen.alerts_seen))

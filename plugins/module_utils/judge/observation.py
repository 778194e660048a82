# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was looked at to facts that signs are compared with, and to who is the primary. Pure.

Three components are no health agent's: ``agent`` is the agent itself, ``host`` is whether its agent or SSH answers
there, and ``power`` is what the fence agent says of a member whose agent is gone. The last two explain, and are no
fault by themselves: an observer need not reach SSH.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Record = Mapping[str, t.Any]

AGENT, HOST, POWER = "agent", "host", "power"
#: Components that no agent has.
OF_HOSTS = (AGENT, HOST, POWER)
PRIMARY, STANDBY, MEMBER, GATEWAY, OBSERVER = "primary", "standby", "member", "gateway", "observer"
PASS, WARN, FAIL, UNKNOWN, GONE = "pass", "warn", "fail", "unknown", "gone"
#: The status of a component whose fault is another component's: it is no cause, and nobody knows how it would be.
INHERITED = "inherited"
#: How cluster_info sees a primary, whether or not it can commit.
_LEADS = ("primary", "stalled")
_READABLE = {PASS: "is well", WARN: "warns", FAIL: "fails", UNKNOWN: "is unknown", GONE: "gives no answer"}


@dataclass(frozen=True)
class Fact:
    """One thing that was seen: of a component at a host, a hazard, or an alert that fires.

    ``status``: the component's, or the severity that an alert has.
    """

    source: str
    name: str
    host: str
    status: str
    reason: str

    @property
    def wrong(self) -> bool:
        if self.source != "component":
            return True
        return self.name not in (HOST, POWER) and self.status not in (PASS, INHERITED)

    def __str__(self) -> str:
        if self.source == "hazard":
            return self.reason
        if self.source == "alert":
            return f"alert {self.name} fires" + (f": {self.reason}" if self.reason else "")
        return f"{self.name} at {self.host} {_READABLE.get(self.status, self.status)}: {self.reason}"


@dataclass(frozen=True)
class Observation:
    """All that one look has shown.

    ``kinds``: what each host is. ``suspects``: those of whom one is the primary, where nobody was seen as it.
    ``dark``: hosts whose components nobody told. ``unseen``: what could not be looked at, in words.
    """

    facts: tuple[Fact, ...]
    kinds: Mapping[str, frozenset[str]]
    suspects: frozenset[str]
    dark: frozenset[str]
    cluster_seen: bool
    primary_seen: bool
    members: int
    streaming: int
    engine: str | None
    alerts_seen: bool
    unseen: tuple[str, ...]
    blind: bool

    @property
    def wrong(self) -> list[Fact]:
        return [fact for fact in self.facts if fact.wrong]

    def at(self, kind: str) -> list[str]:
        """Hosts of a kind; all of them for an empty one."""
        return [host for host, kinds in self.kinds.items() if not kind or kind in kinds]


def observed(seen: Record, kinds: Mapping[str, t.Collection[str]], power: Mapping[str, bool]) -> Observation:
    """The facts of one look.

    :param seen: what collect/signs.py has gathered.
    :param kinds: by host, what the inventory calls it: member, gateway, observer, repository.
    :param power: whether a member's host is on, where its fence agent told.
    """
    cluster, agents = seen["cluster"], seen["agents"]
    leads, suspects = _leading(seen, kinds)
    dark = frozenset(name for name, one in agents.items() if one["components"] is None)
    members = cluster["members"] if cluster else []
    alerts = seen["alerts"]
    return Observation(
        facts=tuple(_facts(seen, kinds, power)),
        kinds={host: _kinds(host, kinds[host], leads, suspects) for host in kinds},
        suspects=suspects if len(suspects) > 1 else frozenset(),
        dark=dark,
        cluster_seen=cluster is not None,
        primary_seen=any(one["standing"] == "primary" for one in members),
        members=sum(MEMBER in one for one in kinds.values()),
        streaming=sum(one["standing"] == "standby" and one["receiving_from"] is not None for one in members),
        engine=cluster["engine"] if cluster else None,
        alerts_seen=alerts is not None,
        unseen=tuple(_unseen(seen)),
        blind=not any(one["answered"] for one in agents.values())
        and all(one["standing"] == "unseen" for one in members)
        and alerts is None,
    )


def _leading(seen: Record, kinds: Mapping[str, t.Collection[str]]) -> tuple[frozenset[str], frozenset[str]]:
    """Who is seen as the primary; and where nobody is, of whom nobody says that it is a standby."""
    standing = {one["name"]: one["standing"] for one in (seen["cluster"] or {"members": []})["members"]}
    leads, follows = set(), set()
    for host in (host for host, one in kinds.items() if MEMBER in one):
        reading = (seen["agents"].get(host) or {}).get("reading") or {}
        recovers = reading.get("in_recovery")
        if standing.get(host) in _LEADS or (recovers is False and not reading.get("fenced")):
            leads.add(host)
        elif standing.get(host) == "standby" or recovers is not None:
            follows.add(host)
    if leads:
        return frozenset(leads), frozenset()
    return frozenset(), frozenset(host for host, one in kinds.items() if MEMBER in one and host not in follows)


def _kinds(
    host: str, given: t.Collection[str], leads: t.Collection[str], suspects: t.Collection[str]
) -> frozenset[str]:
    if MEMBER not in given:
        return frozenset(given)
    found = set(given)
    if host in leads or host in suspects:
        found.add(PRIMARY)
    if host not in leads and (host not in suspects or len(suspects) > 1):
        found.add(STANDBY)
    return frozenset(found)


def _facts(seen: Record, hosts: Mapping[str, t.Collection[str]], power: Mapping[str, bool]) -> Iterator[Fact]:
    for host, one in seen["agents"].items():
        yield Fact("component", AGENT, host, PASS if one["answered"] else GONE, one["reason"])
        for name, component in (one["components"] or {}).items():
            yield _component(name, host, component)
    yield from _hosts(seen, hosts)
    for host, on in power.items():
        yield Fact("component", POWER, host, PASS if on else FAIL, f"its fence agent says {'on' if on else 'off'}")
    for one in (seen["cluster"] or {"hazards": []})["hazards"]:
        about = one["detail"].split(" ")[0].rstrip(":")
        yield Fact("hazard", one["code"], about if about in hosts else "", one["verdict"], one["detail"])
    for one in seen["alerts"] or ():
        yield Fact("alert", one["name"], one["instance"], one["severity"], one["summary"])


def _hosts(seen: Record, kinds: Mapping[str, t.Collection[str]]) -> Iterator[Fact]:
    """Where SSH answers on no host whose agent does, it is closed to this observer, and its silence tells nothing."""
    there = {host for host, one in seen["agents"].items() if one["answered"]}
    # An observer reaches itself in any case.
    others = [host for host in there if OBSERVER not in kinds[host] and host in seen["hosts"]]
    closed = bool(others) and not any(seen["hosts"][host]["answered"] for host in others)
    for host, one in seen["hosts"].items():
        if one["answered"] or host in there:
            yield Fact("component", HOST, host, PASS, one["reason"] if one["answered"] else "its agent answers")
        elif not closed:
            yield Fact("component", HOST, host, GONE, one["reason"])


def _component(name: str, host: str, told: Record) -> Fact:
    """By its own look: what it only needs is told by another component."""
    status = told["own"]
    if told["fault"] == INHERITED and status != PASS:
        status = INHERITED
    return Fact("component", name, host, status, told["reason"])


def _unseen(seen: Record) -> Iterator[str]:
    for host, one in seen["agents"].items():
        if one["answered"] and one["components"] is None:
            yield f"the agent of {host} tells this observer no details"
    if seen["cluster"] is None:
        yield f"the members could not be asked: {seen['cluster_reason']}"
    if seen["alerts"] is None and seen["alerts_reason"]:
        yield f"Prometheus could not be asked: {seen['alerts_reason']}"

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent is told: one JSON file, read when it starts. Whatever in it cannot be right is refused by its key."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.health import options as o
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.checks import COMMON, KINDS, Kind
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health import dependencies
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.dependencies import Need

#: The component that a member's reading is, and the endpoints that are sums of components.
POSTGRESQL, READYZ, HEALTHZ = "postgresql", "/readyz", "/healthz"

MEMBER: o.Known = {
    "descriptor": o.Option(o.some_text),
    "fenced_marker": o.Option(o.some_text),
    "user": o.Option(o.some_text, "postgres"),
    "poll_seconds": o.Option(o.number(0.01, 60), 0.1),
    "stale_after": o.Option(o.number(0.04, 3600), 1.0),
}
ACCESS: o.Known = {
    "networks": o.Option(o.listed(o.network), ()),
    "hosts": o.Option(o.listed(o.some_text), ()),
    "token": o.Option(o.text, ""),
}
TLS: o.Known = {
    "address": o.Option(o.text, ""),
    "port": o.Option(o.port),
    "certificate": o.Option(o.some_text),
    "key": o.Option(o.some_text),
}
TOP = ("service", "member", "access", "tls", "checks")


@dataclass(frozen=True)
class Check:
    name: str
    kind: Kind
    every: float
    deadline: float
    options: t.Mapping[str, t.Any]

    @property
    def stale_after(self) -> float:
        """One look may be missed: a single slow one is no fault. One that takes all of its time is old when it ends."""
        return self.every + max(self.every, self.deadline) + self.deadline


@dataclass(frozen=True)
class Settings:
    service: str
    member: t.Mapping[str, t.Any] | None
    access: t.Mapping[str, t.Any]
    tls: t.Mapping[str, t.Any] | None
    checks: t.Mapping[str, Check]
    needs: dependencies.Needs
    order: tuple[str, ...]


def read(path: str) -> Settings:
    """:raises InputError: there is no such file, it is no JSON, or something in it cannot be right."""
    try:
        with open(path, encoding="utf-8") as stream:
            return parse(json.load(stream))
    except OSError as error:
        raise InputError(f"the configuration cannot be read: {error}", given=path) from error
    except ValueError as error:
        raise InputError(f"the configuration is no JSON: {error}", given=path) from error


def parse(given: t.Any) -> Settings:
    top = o.completed("", given, {name: o.Option(_whatever, None) for name in TOP})
    member = None if top["member"] is None else o.completed("member", top["member"], MEMBER)
    if member is not None and member["stale_after"] < 4 * member["poll_seconds"]:
        raise InputError(
            "member.stale_after is too short: a single slow answer would take a healthy primary out of service",
            given=f"{member['stale_after']:g}, with poll_seconds {member['poll_seconds']:g}",
            possible=f"{4 * member['poll_seconds']:g} or more",
        )
    asked = top["checks"] or {}
    if not isinstance(asked, dict):
        raise InputError("checks is no mapping", given=asked, possible="by name, a mapping with its kind")
    checks = {name: _check(name, one, member is not None) for name, one in asked.items()}
    needs = _needs(checks, member is not None)
    return Settings(
        service=top["service"] or "",
        member=member,
        access=o.completed("access", top["access"] or {}, ACCESS),
        tls=None if top["tls"] is None else o.completed("tls", top["tls"], TLS),
        checks=checks,
        needs=needs,
        order=dependencies.ordered(needs),
    )


def _whatever(given: t.Any) -> t.Any:
    return given


def _check(name: str, given: t.Any, is_member: bool) -> Check:
    path = f"checks.{name}"
    if name == POSTGRESQL or name.startswith("/"):
        raise InputError(f"{path} is a name that is taken", possible="another one, without / before it")
    told = given.get("kind") if isinstance(given, dict) else given
    kind = KINDS.get(told) if isinstance(given, dict) and isinstance(told, str) else None
    if kind is None:
        raise InputError(f"{path}.kind is no kind of check", given=told, possible=", ".join(sorted(KINDS)))
    if kind.of_member and not is_member:
        raise InputError(f"{path}.kind looks at a member, and this host has none", given=given["kind"])
    found = o.completed(path, given, {**COMMON, **kind.options})
    every, deadline = found["every"] or kind.every, found["deadline"] or kind.deadline
    try:
        kind.demand(found)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", given=error.given, possible=error.possible) from error
    return Check(name, kind, every, deadline, found)


def _needs(checks: t.Mapping[str, Check], is_member: bool) -> dependencies.Needs:
    """What each check needs, and the two endpoints that are made of checks."""
    needs: dict[str, dict[str, Need]] = {}
    if is_member:
        needs[POSTGRESQL] = {}
    for name, check in checks.items():
        given = check.options["needs"]
        by_kind = {POSTGRESQL: Need.HARD} if check.kind.of_member else {}
        needs[name] = {**by_kind, **{other: Need(how) for other, how in given.items()}}
    ready = {name: Need(check.options["ready"] or check.kind.ready) for name, check in checks.items()
             if (check.options["ready"] or check.kind.ready) != "no"}  # fmt: skip
    needs[READYZ] = {POSTGRESQL: Need.HARD, **ready} if is_member else ready
    needs[HEALTHZ] = dict.fromkeys([name for name in needs if name != READYZ], Need.HARD)
    return needs

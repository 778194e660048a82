# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Patroni, where it is in charge, can do what it is there for. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Hazard
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict

#: Roles of a member that confirms commits, in Patroni's words.
CONFIRMS = ("sync_standby", "quorum_standby")


@dataclass(frozen=True)
class Engine:
    """What Patroni says of the cluster. ``members``: by name, each with role, state and tags."""

    seen: bool
    version: str = ""
    paused: bool = False
    synchronous: bool = False
    members: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)

    @property
    def leader(self) -> str | None:
        """Who holds the lease, if anybody."""
        return next((name for name, one in self.members.items() if one["role"] == "leader"), None)

    def as_dict(self) -> dict[str, t.Any]:
        return {**self.__dict__, "leader": self.leader}


def hazards(engine: Engine | None, primary: str | None, members: t.Collection[str]) -> list[Hazard]:
    """What is wrong with Patroni; nothing where it is not in charge.

    :param primary: who accepts writes, as the database says.
    :param members: who should be in Patroni's hands.
    """
    if engine is None:
        return []
    if not engine.seen:
        return [Hazard("patroni_unseen", Verdict.UNKNOWN, "no member's Patroni answers, or none knows the cluster")]
    return list(_of(engine, primary, members))


def _of(engine: Engine, primary: str | None, members: t.Collection[str]) -> t.Iterator[Hazard]:
    if engine.paused:
        yield Hazard("patroni_paused", Verdict.FAILED, "Patroni is paused, so nobody takes over by itself")
    if engine.leader is None:
        yield Hazard("patroni_no_leader", Verdict.FAILED, "nobody holds Patroni's lease")
    elif primary is not None and engine.leader != primary:
        yield Hazard(
            "patroni_leader_differs", Verdict.FAILED, f"{primary} accepts writes, {engine.leader} has the lease"
        )
    for name in sorted(set(members) - set(engine.members)):
        yield Hazard("patroni_member_missing", Verdict.FAILED, f"Patroni does not know {name}")
    if engine.synchronous and not any(one["role"] in CONFIRMS for one in engine.members.values()):
        yield Hazard(
            "patroni_unconfirmed", Verdict.FAILED,
            "Patroni lets commits wait for nobody until a standby is back: the primary alone has them",
        )  # fmt: skip


def ineligible(engine: t.Mapping[str, t.Any] | None, names: t.Iterable[str]) -> dict[str, str]:
    """Whom Patroni would not let take over in a switchover, and why.

    :param engine: as the module cluster_info returns it.
    """
    if engine is None:
        return {}
    found = {}
    for name in names:
        one = engine["members"].get(name)
        if one is None:
            found[name] = "Patroni does not know it"
        elif one["tags"].get("nofailover"):
            found[name] = "Patroni was told not to let it take over (tag nofailover)"
        elif engine["synchronous"] and one["role"] not in CONFIRMS:
            found[name] = f"it is no synchronous standby of Patroni's but {one['role']}"
    return found

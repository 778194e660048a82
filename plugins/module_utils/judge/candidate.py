# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes over: a candidate chosen by what it holds and where it stands, or a refusal that says why. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import patroni
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import lsn_to_int

#: A member as the module cluster_info returns it.
Seen = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Plan:
    """Who is replaced by whom. ``rejected`` says of each other member why not.

    ``loses_bytes`` is what another member, ``held_by``, holds beyond the candidate; ``loses_seconds`` how much older
    the candidate's newest transaction is, None where that was not seen. What a receiver holds is not counted.
    ``lag_bytes`` is what the candidate has yet to receive from the old primary, None where that one is lost.
    ``lost`` are those to fence, each as ``name`` and ``ssh_answers``: the old primary, or everybody of the lost
    region, since nobody who is left knows for sure who of them was primary. ``old_primary`` is then None.
    """

    old_primary: str | None
    candidate: str
    candidate_lsn: str
    timeline: int
    lost: list[dict[str, t.Any]]
    rejected: dict[str, str]
    lost_region: str | None = None
    loses_bytes: int = 0
    loses_seconds: float | None = 0.0
    held_by: str | None = None
    lag_bytes: int | None = None

    def as_dict(self) -> dict[str, t.Any]:
        return dict(self.__dict__)

    def __str__(self) -> str:
        """The plan for people, with its numbers."""
        others = "; ".join(f"not {name}: {reason}" for name, reason in sorted(self.rejected.items()))
        whom = self.old_primary or f"region {self.lost_region}"
        who = f"{self.candidate} takes over from {whom}" + (f" ({others})" if others else "")
        if self.lag_bytes is not None:
            return f"{who}; it is {self.lag_bytes} bytes of WAL behind, and receives them before it takes over"
        held = f"{who}; it holds WAL up to {self.candidate_lsn} on timeline {self.timeline}"
        if self.lost_region is not None:
            return f"{held}; what was committed after {_newest(self.loses_seconds)} is left behind"
        if not self.loses_bytes:
            return f"{held}, and no other member holds more"
        worth = "" if self.loses_seconds is None else f", the transactions of {self.loses_seconds:.0f} s,"
        return f"{held}; {self.loses_bytes} bytes of WAL{worth} that {self.held_by} holds are left behind"


def switchover(cluster: t.Mapping[str, t.Any], wanted: str | None = None, region: str | None = None) -> Plan:
    """The plan of a planned switchover: only a standby that streams and is in step may take over.

    :param region: where the primary shall stand; without it, where it stands now is preferred.
    :raises RefusedError: there is no primary to switch from, or nobody who could take over.
    :raises InputError: ``wanted`` is not a standby of this cluster.
    """
    members = _members(cluster)
    if cluster["primary"] is None:
        raise RefusedError(
            "there is no single primary to switch over from",
            given=_standings(members),
            next_step="if the primary is lost, run the playbook failover; if there are two, fence one first",
        )
    old = _named(members, cluster["primary"])
    others = [member for member in members if member["name"] != old["name"]]
    rejected = patroni.ineligible(cluster.get("patroni"), [member["name"] for member in others])
    rejected |= {member["name"]: reason for member in others if (reason := _not_in_step(member, old))}
    if region is not None:
        elsewhere = [member for member in others if str(member["region"]) != region]
        rejected |= {member["name"]: f"it stands in region {member['region']}" for member in elsewhere}
    plan = _choose([old], others, rejected, wanted)
    return replace(plan, lag_bytes=max(0, lsn_to_int(old["written_lsn"]) - lsn_to_int(plan.candidate_lsn)))


def failover(
    cluster: t.Mapping[str, t.Any],
    wanted: str | None = None,
    lost: str | None = None,
    rpo_seconds: float | None = None,
    accept_loss: str | None = None,
    lost_region: str | None = None,
) -> Plan:
    """The plan after the primary was lost: whoever holds most WAL, in the lost primary's region first.

    A standby that stayed on an older timeline is never chosen, however much WAL it holds: it misses all that was
    written since.

    :param lost: the lost primary's name; without it, the one member that was not seen or refuses.
    :param rpo_seconds: the objective. A candidate that another member is further ahead of is refused.
    :param accept_loss: why more may be lost all the same.
    :param lost_region: the region that is lost with everybody in it. What only it had acknowledged is lost with it, so
        this needs ``accept_loss``.
    :raises RefusedError: a primary accepts writes, it is not clear who was lost or what the cluster is, nobody can
        take over, or more would be lost than the objective allows.
    :raises InputError: ``lost`` or ``wanted`` is no member, ``lost_region`` no region.
    """
    members = _members(cluster)
    primaries = [member["name"] for member in members if member["standing"] == "primary"]
    if len(primaries) > 1:
        raise RefusedError(
            f"{' and '.join(primaries)} both accept writes",
            given=_standings(members),
            next_step="find out which one clients wrote to, fence the other, and bring it back with playbook rejoin",
        )
    if primaries:
        raise RefusedError(
            f"{primaries[0]} is primary and accepts writes: nothing is lost",
            given=_standings(members),
            next_step="to move the primary on purpose, run the playbook switchover",
        )
    gone = [_lost(members, lost)] if lost_region is None else _of_region(members, lost_region)
    others = [member for member in members if member not in gone]
    if len({member["system_id"] for member in members} - {None}) > 1:
        raise RefusedError(
            "these members are not of one cluster: their system identifiers differ",
            given=", ".join(f"{member['name']} {member['system_id']}" for member in members if member["system_id"]),
            next_step="take the one that is foreign out of the inventory, or restore it from this cluster's stanza",
        )
    able = [member for member in others if _cannot_serve(member) is None]
    newest = max((member["timeline"] for member in able), default=0)
    rejected = {member["name"]: reason for member in others if (reason := _cannot_inherit(member, newest))}
    plan = _with_loss(_choose(gone, others, rejected, wanted), others)
    if lost_region is not None:
        return _without_region(plan, lost_region, others, accept_loss)
    if rpo_seconds is not None and not accept_loss and _loses_more(plan, rpo_seconds):
        # Where somebody asked for the candidate, the one that holds more may have nothing against it.
        unfit = plan.rejected.get(str(plan.held_by))
        why = f"which was not chosen since {unfit}" if unfit else "which can take over"
        raise RefusedError(
            f"{plan.candidate} would lose {plan.loses_bytes} bytes of WAL that {plan.held_by} holds, the transactions"
            f" of {'an unknown time' if plan.loses_seconds is None else f'{plan.loses_seconds:.0f} s'}",
            given=f"an objective of {rpo_seconds:g} s",
            possible=f"{plan.held_by}, {why}",
            next_step=f"choose with -e resilience_candidate={plan.held_by}, or take the loss on with"
            " -e resilience_accept_loss=<reason>",
        )
    return plan


def _loses_more(plan: Plan, rpo_seconds: float) -> bool:
    """Whether the loss is over the objective; one whose time nobody knows is not taken for none."""
    return plan.loses_bytes > 0 and (plan.loses_seconds is None or plan.loses_seconds > rpo_seconds)


def _with_loss(plan: Plan, others: list[Seen]) -> Plan:
    """The plan with what somebody holds beyond the candidate on its timeline, whether that one could serve or not."""
    holders = [one for one in others if one["written_lsn"] is not None and one["timeline"] == plan.timeline]
    most = max(holders, key=lambda one: lsn_to_int(one["written_lsn"]))
    behind = lsn_to_int(most["written_lsn"]) - lsn_to_int(plan.candidate_lsn)
    if behind <= 0:
        return plan
    own, newest = _named(others, plan.candidate).get("replay_age_seconds"), most.get("replay_age_seconds")
    seconds = None if own is None or newest is None else max(0.0, float(own) - float(newest))
    return replace(plan, loses_bytes=behind, loses_seconds=seconds, held_by=most["name"])


def _without_region(plan: Plan, region: str, others: list[Seen], accept_loss: str | None) -> Plan:
    """The plan where a region is lost, and with it whoever could say how much more it had acknowledged."""
    age = _named(others, plan.candidate).get("replay_age_seconds")
    plan = replace(plan, old_primary=None, lost_region=region, loses_seconds=None if age is None else float(age))
    if not accept_loss:
        raise RefusedError(
            f"with region {region}, whatever it committed after {_newest(plan.loses_seconds)} is lost",
            given=f"{plan.candidate}, which holds WAL up to {plan.candidate_lsn}",
            next_step="if the region will not answer in time, take the loss on with -e resilience_accept_loss=<reason>",
        )
    return plan


def _newest(age_seconds: float | None) -> str:
    if age_seconds is None:
        return "the candidate's newest transaction, of unknown age,"
    return f"the candidate's newest transaction, {age_seconds:.0f} s ago,"


def _choose(gone: t.Sequence[Seen], others: list[Seen], rejected: dict[str, str], wanted: str | None) -> Plan:
    old, region = gone[0], gone[0]["region"]
    if wanted is not None:
        _named(others, wanted)
        if wanted in rejected:
            raise RefusedError(
                f"{wanted} cannot take over: {rejected[wanted]}",
                given=wanted,
                possible=_names([one for one in others if one["name"] not in rejected]) or "nobody",
                next_step="choose another member, or none: the best one is chosen then",
            )
    fit = [one for one in others if one["name"] not in rejected and wanted in (None, one["name"])]
    if not fit:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(rejected.items()))
        raise RefusedError(
            f"no member can take over from {_names(gone)}",
            given=reasons or "the cluster has no other member",
            next_step="restore the cluster from a repository with the playbook restore",
        )
    best = max(fit, key=lambda one: (one["region"] == region, lsn_to_int(one["written_lsn"]), one["name"]))
    left = {one["name"]: _why_not_best(one, best) for one in fit if one["name"] != best["name"]}
    return Plan(
        old_primary=old["name"],
        candidate=best["name"],
        candidate_lsn=best["written_lsn"],
        timeline=best["timeline"],
        lost=[
            {"name": member["name"], "standing": member["standing"], "ssh_answers": bool(member["ssh_answers"])}
            for member in gone
        ],
        rejected={**rejected, **left},
    )


def _lost(members: list[Seen], lost: str | None) -> Seen:
    if lost is not None:
        return _named(members, lost)
    gone = [member for member in members if member["standing"] not in ("primary", "standby")]
    if len(gone) == 1:
        return gone[0]
    regions = {member["region"] for member in gone}
    whole = len(regions) == 1 and all(member in gone for member in members if member["region"] in regions)
    region = f", or the region, if all of it is lost, with -e resilience_lost_region={min(regions)}" if whole else ""
    raise RefusedError(
        "it is not clear which member was the primary",
        given=_standings(members),
        possible=_names(gone) or "none: every member answers, as a standby",
        next_step=f"name it with -e resilience_lost_primary=<member>{region}",
    )


def _of_region(members: list[Seen], region: str) -> list[Seen]:
    """Everybody of a region of whom nobody answers."""
    # An inventory may call its regions 1 and 2, which are numbers there and text on the command line.
    gone = [member for member in members if str(member["region"]) == region]
    if not gone:
        raise InputError(
            "there is no such region",
            given=region,
            possible=", ".join(sorted({str(member["region"]) for member in members})),
        )
    if present := [member for member in gone if member["standing"] in ("primary", "standby")]:
        raise RefusedError(
            f"region {region} is not lost: {_names(present)} answers",
            given=_standings(members),
            next_step="name the lost primary instead, with -e resilience_lost_primary=<member>",
        )
    return gone


def _cannot_serve(member: Seen) -> str | None:
    if member["standing"] != "standby":
        return f"{member['standing']}: {member['reason']}"
    if member["written_lsn"] is None or member["timeline"] is None:
        return "it holds no WAL that could be seen"
    if member["replay_paused"]:
        return "its replay is paused"
    return None


def _cannot_inherit(member: Seen, newest: int) -> str | None:
    reason = _cannot_serve(member)
    if reason is None and member["timeline"] != newest:
        return f"it is on timeline {member['timeline']}, another member on {newest}"
    return reason


def _not_in_step(member: Seen, primary: Seen) -> str | None:
    reason = _cannot_serve(member)
    if reason is not None:
        return reason
    if member["receiving_from"] is None:
        return "it does not stream"
    if member["timeline"] != primary["timeline"]:
        return f"it is on timeline {member['timeline']}, the primary on {primary['timeline']}"
    if member["system_id"] != primary["system_id"]:
        return "it is of another cluster"
    return None


def _why_not_best(one: Seen, best: Seen) -> str:
    behind = lsn_to_int(best["written_lsn"]) - lsn_to_int(one["written_lsn"])
    if one["region"] != best["region"]:
        return f"it stands in region {one['region']}"
    return f"it holds {behind} bytes of WAL less" if behind > 0 else "it holds as much"


def _members(cluster: t.Mapping[str, t.Any]) -> list[Seen]:
    if "members" not in cluster or "primary" not in cluster:
        raise InputError(
            "this is not what module cluster_info returns",
            given=", ".join(sorted(cluster)) or "nothing",
            next_step="give the whole registered result of a run that succeeded",
        )
    members: list[Seen] = cluster["members"]
    return members


def _named(members: t.Sequence[Seen], name: str) -> Seen:
    for member in members:
        if member["name"] == name:
            return member
    raise InputError("there is no such member to choose", given=name, possible=_names(members))


def _names(members: t.Iterable[Seen]) -> str:
    return ", ".join(sorted(member["name"] for member in members))


def _standings(members: t.Iterable[Seen]) -> str:
    return ", ".join(f"{member['name']} {member['standing']}" for member in members)

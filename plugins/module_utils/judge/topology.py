# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what each member says of itself to what the cluster is: who is primary, and what is wrong. Pure."""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import lsn_to_int
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst

#: What archive_command asks of pgBackRest, however that is called.
ARCHIVE_PUSH = "archive-push"


class Standing(str, enum.Enum):
    """What a member was seen as. Stable words: playbooks and dashboards depend on them."""

    PRIMARY = "primary"
    STANDBY = "standby"
    #: A primary that answers, and whose storage takes no commit, or is full.
    STALLED = "stalled"
    STARTING = "starting"
    REFUSED = "refused"
    UNSEEN = "unseen"


class Member(t.NamedTuple):
    """One reading of one member; ``None`` is what was not seen. LSNs are text as PostgreSQL writes them."""

    name: str
    region: str
    standing: Standing
    reason: str = ""
    reading_seconds: float | None = None
    ssh_answers: bool | None = None
    version: int | None = None
    system_id: str | None = None
    timeline: int | None = None
    #: Primary: flushed. Standby: received.
    written_lsn: str | None = None
    replayed_lsn: str | None = None
    replay_paused: bool | None = None
    replay_age_seconds: float | None = None
    #: The address that a standby streams from; None when it does not stream.
    receiving_from: str | None = None
    synchronous_standby_names: str = ""
    settings: t.Mapping[str, str] = {}
    senders: t.Sequence[t.Mapping[str, t.Any]] = ()
    slots: t.Sequence[t.Mapping[str, t.Any]] = ()
    archiver: t.Mapping[str, t.Any] = {}

    @property
    def seen(self) -> bool:
        return self.standing in (Standing.PRIMARY, Standing.STANDBY)


@dataclass(frozen=True)
class Hazard:
    """Something that makes a recovery slower, lossy or impossible. ``code`` is stable."""

    code: str
    verdict: Verdict
    detail: str

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "verdict": self.verdict.value, "detail": self.detail}


def sole_primary(members: t.Sequence[Member]) -> Member | None:
    """The primary, if there is exactly one."""
    primaries = [member for member in members if member.standing is Standing.PRIMARY]
    return primaries[0] if len(primaries) == 1 else None


def hazards(members: t.Sequence[Member], receivers: t.Mapping[str, str] | None = None) -> list[Hazard]:
    """Everything that is wrong, worst first.

    :param receivers: who receives WAL beside the standbys: slot and name.
    """
    found = [*_of_cluster(members)]
    primary = sole_primary(members)
    if primary is not None:
        found += [*_of_primary(primary), *_of_receivers(primary, receivers or {})]
        for member in members:
            if member.standing is Standing.STANDBY:
                found += _of_standby(member, primary)
    return sorted(found, key=lambda hazard: hazard.verdict is not Verdict.FAILED)


def verdict(
    members: t.Sequence[Member], tolerated: t.Collection[str] = (), receivers: t.Mapping[str, str] | None = None
) -> Verdict:
    """passed only where every member was seen and nothing is wrong, but for the hazards of these codes."""
    return verdict_of(hazards(members, receivers), tolerated)


def verdict_of(hazards: t.Sequence[Hazard], tolerated: t.Collection[str] = ()) -> Verdict:
    """The same, of hazards that were found."""
    counted = [hazard for hazard in hazards if hazard.code not in tolerated]
    found = [Check(hazard.code, hazard.verdict, hazard.detail) for hazard in counted]
    return worst(found) if found else Verdict.PASSED


def lag_bytes(standby: Member, primary: Member) -> int | None:
    """Bytes of WAL that the primary has flushed and the standby has not received; None where one was not seen."""
    if standby.written_lsn is None or primary.written_lsn is None:
        return None
    return max(0, lsn_to_int(primary.written_lsn) - lsn_to_int(standby.written_lsn))


def _of_cluster(members: t.Sequence[Member]) -> t.Iterator[Hazard]:
    primaries = [member.name for member in members if member.standing is Standing.PRIMARY]
    if len(primaries) > 1:
        yield Hazard("two_primaries", Verdict.FAILED, f"{' and '.join(primaries)} all accept writes")
    elif not primaries:
        # A member that was not seen may be the primary still.
        unseen = any(member.standing is Standing.UNSEEN for member in members)
        bad = Verdict.UNKNOWN if unseen else Verdict.FAILED
        yield Hazard("no_primary", bad, "no member that was seen accepts writes")
    for member in members:
        if not member.seen:
            bad = Verdict.UNKNOWN if member.standing is Standing.UNSEEN else Verdict.FAILED
            yield Hazard(f"member_{member.standing.value}", bad, f"{member.name}: {member.reason or 'no answer'}")
    ids = {member.system_id: member.name for member in members if member.system_id is not None}
    if len(ids) > 1:
        yield Hazard("system_id_mismatch", Verdict.FAILED, f"not of one cluster: {', '.join(sorted(ids.values()))}")


def _of_primary(primary: Member) -> t.Iterator[Hazard]:
    # A base backup holds two connections of one name, of which only one streams.
    names = [sender["name"] for sender in primary.senders if sender["state"] in ("streaming", "catchup")]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Hazard("duplicate_name", Verdict.FAILED, f"two connections replicate under the name {name}")
    if primary.synchronous_standby_names and not any(
        sender["sync_state"] in ("sync", "quorum") and sender["state"] == "streaming" for sender in primary.senders
    ):
        yield Hazard(
            "no_synchronous_standby", Verdict.FAILED,
            f"nobody of '{primary.synchronous_standby_names}' streams: commits on {primary.name} wait",
        )  # fmt: skip
    for slot in primary.slots:
        if slot["wal_status"] == "lost":
            yield Hazard("slot_lost", Verdict.FAILED, f"slot {slot['name']} on {primary.name} has lost its WAL")
    if primary.archiver.get("failing"):
        detail = f"{primary.name} cannot archive {primary.archiver['last_failed']}"
        yield Hazard("archiver_failing", Verdict.FAILED, detail)
    command = primary.archiver.get("command")
    if command is not None and ARCHIVE_PUSH not in command:
        detail = f"{primary.name} archives by '{command}', not by pgBackRest's archive_command"
        yield Hazard("archive_command_foreign", Verdict.FAILED, detail)


def _of_receivers(primary: Member, receivers: t.Mapping[str, str]) -> t.Iterator[Hazard]:
    active = {slot["name"] for slot in primary.slots if slot["active"]}
    for slot, name in sorted(receivers.items()):
        if slot not in active:
            yield Hazard("receiver_away", Verdict.FAILED, f"{name} receives nothing from {primary.name}")


def _of_standby(standby: Member, primary: Member) -> t.Iterator[Hazard]:
    if standby.receiving_from is None:
        yield Hazard("standby_not_streaming", Verdict.FAILED, f"{standby.name} does not stream")
    if standby.timeline is not None and primary.timeline is not None and standby.timeline != primary.timeline:
        yield Hazard(
            "timeline_mismatch", Verdict.FAILED,
            f"{standby.name} is on timeline {standby.timeline}, {primary.name} on {primary.timeline}",
        )  # fmt: skip
    if standby.replay_paused:
        yield Hazard("replay_paused", Verdict.FAILED, f"{standby.name} receives but does not replay")
    for name, value in sorted(standby.settings.items()):
        if int(value) < int(primary.settings.get(name, value)):
            yield Hazard(
                "setting_below_primary", Verdict.FAILED,
                f"{name} is {value} on {standby.name} and {primary.settings[name]} on {primary.name}: replay will stop",
            )  # fmt: skip

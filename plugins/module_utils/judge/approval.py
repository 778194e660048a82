# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Did enough people other than its requester approve of exactly this operation, a short while ago? Pure.

An approval is for a *subject*: operation, cluster and the parameters that decide what happens to data. A request names
a subject, who asked, and until when; approvers sign the request's bytes, so each of its fields is bound.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError

SCHEMA = "fraiseql.resilience/approval/1"
#: What a signature is for: one made for evidence, for a commit or for a login is no approval.
NAMESPACE = "resilience-approval@fraiseql"

#: The one list of what is bound: variables that decide what happens to data, by name and by the beginning of the name.
BOUND = frozenset({
    "resilience_accept_loss", "resilience_accept_unfenced", "resilience_accept_unheld", "resilience_candidate",
    "resilience_candidate_region", "resilience_drill_region_fault", "resilience_home_region",
    "resilience_lost_primary", "resilience_lost_region", "resilience_objectives", "resilience_rejoin_keep",
    "resilience_repository_before", "resilience_repository_hide_newer", "resilience_retire_generation",
    "resilience_scenario", "resilience_slot",
})  # fmt: skip
BOUND_PREFIX = "resilience_restore_"

#: Operations, and scenarios of a drill, after which data are gone whatever the parameters say.
LOSING = frozenset({"restore_commit", "retire_repository_key"})
LOSING_SCENARIOS = frozenset({
    "cross_region_restore", "data_loss", "members_lost", "ransomware", "region_lost", "repository_lost",
})  # fmt: skip
#: Operations that promote somebody while the old primary may still be alive.
PROMOTING = frozenset({"drill", "failover"})
#: What a playbook that runs others is approved with. A drill is approved with all that it does.
CONTAINS: t.Final = {"failback": frozenset({"rejoin", "switchover"}), "respond": frozenset({"rejoin"})}
#: By scenario, what a drill still does once its own evidence is sealed.
AFTER_DRILL: t.Final = {scenario: frozenset({"failback"}) for scenario in ("cross_region_restore", "region_lost")}
#: Parameters that choose an end of the WAL which need not be the newest.
CHOOSING = ("resilience_restore_target", "resilience_restore_timeline", "resilience_restore_repo")
#: Words that Ansible reads as no, for parameters that keep data unless they are one of these.
NO = frozenset({"false", "no", "n", "off", "0", "f"})

Approval = dict[str, t.Any]


@dataclass(frozen=True)
class Subject:
    """What is approved. ``parameters`` holds JSON values by the variable's name, as :func:`bound` gives them."""

    operation: str
    cluster: str
    parameters: Mapping[str, t.Any]

    def as_dict(self) -> dict[str, t.Any]:
        return {"operation": self.operation, "cluster": self.cluster, "parameters": dict(self.parameters)}

    @property
    def sha256(self) -> str:
        return hashlib.sha256(_text(self.as_dict())).hexdigest()

    @property
    def needed(self) -> int:
        """How many people have to approve: two where data may be lost."""
        return 2 if may_lose_data(self) else 1

    @property
    def overrides_fence(self) -> bool:
        """Would it promote beside a primary that nothing proved to be fenced?"""
        return self.operation in PROMOTING and bool(self.parameters.get("resilience_accept_unfenced"))

    def __str__(self) -> str:
        given = "".join(f" {name}={_shown(value)}" for name, value in sorted(self.parameters.items()))
        return f"{self.operation} of {self.cluster}{given}"


@dataclass(frozen=True)
class Request:
    """What approvers sign. Moments are in UTC, to the second."""

    subject: Subject
    requester: str
    requested_at: datetime
    expires_at: datetime

    def as_bytes(self) -> bytes:
        """The one way to write it: sorted; indented, since people read what they sign; ASCII, so that they see it."""
        moments = {"requested_at": stamp(self.requested_at), "expires_at": stamp(self.expires_at)}
        about = {"schema": SCHEMA, "requester": self.requester, "needed": self.subject.needed}
        return _text({**self.subject.as_dict(), **about, **moments, "subject_sha256": self.subject.sha256})


@dataclass(frozen=True)
class Signed:
    """A signature file that was looked at.

    ``principals``: the approvers' names for the key, empty when ``problem`` says why the signature is not good;
    ``fingerprint``: the key's SHA256 fingerprint.
    """

    name: str
    principals: tuple[str, ...] = ()
    fingerprint: str = ""
    problem: str | None = None


@dataclass(frozen=True)
class Node:
    """An approval node of AWX that stands before this job: its name, state, who decided and when (UTC)."""

    name: str
    status: str
    approver: str | None
    finished: datetime | None


@dataclass(frozen=True)
class Workflow:
    """What AWX tells of the workflow that runs this job: who launched it, its variables, approvals before this job."""

    job: str
    requester: str
    variables: Mapping[str, t.Any]
    nodes: Sequence[Node]


# what is bound --------------------------------------------------------------------------------------------------------


def is_bound(name: str) -> bool:
    return name in BOUND or name.startswith(BOUND_PREFIX)


def bound(variables: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The parameters among ``variables``, written alike however they were given: ``-e x=true`` is ``{"x": true}``."""
    found = {str(name): _plain(value) for name, value in variables.items() if is_bound(str(name))}
    return {name: value for name, value in sorted(found.items()) if value not in (None, "")}


def _plain(value: t.Any) -> t.Any:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value)


def may_lose_data(subject: Subject) -> bool:
    """Can rows that were acknowledged, or the last copy of them, be gone afterwards?"""
    given = subject.parameters
    if subject.operation in LOSING or given.get("resilience_accept_loss") or subject.overrides_fence:
        return True
    if subject.operation == "drill":
        return given.get("resilience_scenario") in LOSING_SCENARIOS
    if subject.operation == "restore":
        newest = given.get("resilience_restore_type", "default") == "default" and not any(map(given.get, CHOOSING))
        return not newest or _refused(given.get("resilience_restore_keep"))
    rejoins = subject.operation == "rejoin" or "rejoin" in CONTAINS.get(subject.operation, ())
    return rejoins and _refused(given.get("resilience_rejoin_keep"))


def covers(under_way: Sequence[str], operation: str) -> bool:
    """Was an operation approved with one that it runs inside? ``under_way``: those that its evidence is open for."""
    return any(outer == "drill" or operation in CONTAINS.get(outer, ()) for outer in under_way)


def ends_drill(drill: Subject, subject: Subject) -> bool:
    """Is this what an approved drill of the same run still does after its own evidence is sealed?"""
    scenario = str(drill.parameters.get("resilience_scenario"))
    return subject.cluster == drill.cluster and subject.operation in AFTER_DRILL.get(scenario, ())


def _refused(keep: t.Any) -> bool:
    return keep is not None and str(keep).strip().lower() in NO


# requests -------------------------------------------------------------------------------------------------------------


def ask(subject: Subject, requester: str, now: datetime, valid_minutes: int) -> Request:
    """A request that is good from ``now`` on.

    :raises InputError: it would never be good.
    """
    if valid_minutes < 1:
        raise InputError(
            "an approval has to be good for at least a minute",
            given=f"resilience_approval_valid_minutes={valid_minutes}",
        )
    begin = now.astimezone(timezone.utc).replace(microsecond=0)
    return Request(subject, requester, begin, begin + timedelta(minutes=valid_minutes))


def read(content: bytes, path: str) -> Request:
    """The request that a file holds.

    :raises InputError: it is none, or not written in the one way: what approvers read might not be what it says.
    """
    try:
        found = json.loads(content)
        operation, cluster, requester = (str(found[name]) for name in ("operation", "cluster", "requester"))
        subject = Subject(operation, cluster, dict(found["parameters"]))
        request = Request(subject, requester, moment(found["requested_at"]), moment(found["expires_at"]))
        written = request.as_bytes()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"this file is no request for an approval ({type(error).__name__}: {error})",
            given=f"resilience_approval={path}",
            next_step="run it without resilience_approval: that writes a request, and says how to sign it",
        ) from error
    if written != content:
        raise RefusedError(
            "the request was changed since it was written, or by another version of this collection",
            given=f"resilience_approval={path}",
            next_step="run it without resilience_approval: that writes a request, and says how to sign it",
        )
    return request


def _text(record: Mapping[str, t.Any]) -> bytes:
    return (json.dumps(record, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")


def _shown(value: t.Any) -> str:
    if isinstance(value, str) and value.isalnum():
        return value
    return "not set" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def stamp(when: datetime) -> str:
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """A moment of ISO 8601 in UTC.

    :raises ValueError: it is none, or names no zone.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} names no zone")
    return found


# verdicts -------------------------------------------------------------------------------------------------------------


def judge_signatures(
    request: Request,
    subject: Subject,
    runner: str,
    signatures: Sequence[Signed],
    now: datetime,
) -> list[Approval]:
    """Each approval that counts, as the report shows it.

    :param subject: what this run is about to do.
    :param runner: who runs it; need not be the one who asked, and is no approver either.
    :raises RefusedError: the request is for something else or has expired, or too few approved.
    """
    refuse_differences(request.subject, subject, "was approved")
    if now >= request.expires_at:
        raise RefusedError(
            f"the approval expired at {stamp(request.expires_at)}, and it is {stamp(now)}",
            given=str(subject),
            next_step="run it without resilience_approval: that writes a new request to be signed",
        )
    counted, problems = _count(signatures, {runner: "runs it", request.requester: "asked for it"})
    if len(counted) < subject.needed:
        raise RefusedError(
            f"{len(counted)} of {subject.needed} needed approvals"
            + (f" ({', '.join(counted)})" if counted else "")
            + (": " + "; ".join(problems) if problems else ": there is no signature beside the request"),
            given=str(subject),
            possible="a signature by anybody on the approvers' list who neither asked for it nor runs it",
        )
    moments = {"requested_at": stamp(request.requested_at), "expires_at": stamp(request.expires_at)}
    digest = hashlib.sha256(request.as_bytes()).hexdigest()
    return [
        {
            "kind": "ssh",
            "approver": approver,
            "key_fingerprint": signed.fingerprint,
            "signature": signed.name,
            **_about(subject, request.requester),
            "request_sha256": digest,
            **moments,
        }
        for approver, signed in counted.items()
    ]


def judge_workflow(
    workflow: Workflow, subject: Subject, launched: Mapping[str, t.Any], now: datetime, valid_minutes: int
) -> list[Approval]:
    """Each approval of AWX that counts, as the report shows it.

    Approvers see the workflow's variables, so what this job was launched with has to stand in them. What the inventory
    says is not for whoever launches to choose, and stands in no workflow.

    :param launched: this job's extra variables.
    :raises RefusedError: it does not, or too few approved in time.
    """
    told = workflow.variables
    shown = Subject(subject.operation, str(told.get("resilience_cluster", "")), bound(told))
    refuse_differences(
        shown,
        Subject(subject.operation, subject.cluster, bound(launched)),
        "in the workflow's variables, which approvers see",
    )
    counted: dict[str, Node] = {}
    problems = []
    for node in workflow.nodes:
        problem = _node_problem(node, workflow.requester, now, valid_minutes)
        if problem is not None:
            problems.append(f"'{node.name}' {problem}")
        else:
            counted.setdefault(str(node.approver).casefold(), node)
    if len(counted) < subject.needed:
        raise RefusedError(
            f"{len(counted)} of {subject.needed} needed approvals in workflow job {workflow.job}: "
            + ("; ".join(problems) or "too few approval nodes, or people, stand before this job"),
            given=str(subject),
            possible="approval nodes before this job, each approved by somebody else than the one who launched it",
        )
    return [
        {
            "kind": "awx",
            "approver": node.approver,
            "node": node.name,
            "workflow_job": workflow.job,
            **_about(subject, workflow.requester),
            "approved_at": stamp(t.cast(datetime, node.finished)),
            "expires_at": stamp(t.cast(datetime, node.finished) + timedelta(minutes=valid_minutes)),
        }
        for node in counted.values()
    ]


def _node_problem(node: Node, requester: str, now: datetime, valid_minutes: int) -> str | None:
    if node.status != "successful" or node.finished is None:
        return f"is {node.status}, not approved"
    if not node.approver:
        return "does not say who approved it"
    if same_person(node.approver, requester):
        return f"was approved by {node.approver}, who launched the workflow"
    if now >= node.finished + timedelta(minutes=valid_minutes):
        return f"was approved at {stamp(node.finished)}, more than {valid_minutes} minutes ago"
    return None


def break_glass(subject: Subject, requester: str, reason: str, now: datetime) -> Approval:
    """The record of an operation that nobody approved.

    :raises InputError: a reason that says nothing.
    """
    if reason.strip().lower() in NO | {"", "true", "yes", "y", "on", "1", "t"}:
        raise InputError(
            "to break the glass takes a reason, which stands in the report",
            given=f"resilience_break_glass={reason}",
            possible="-e 'resilience_break_glass=\"region a is gone, no approver answers\"'",
        )
    about = _about(subject, requester)
    return {"kind": "break_glass", "reason": reason.strip(), **about, "needed": subject.needed, "at": stamp(now)}


def unsigned_override(subject: Subject) -> RefusedError:
    """The refusal of a promotion beside an unfenced primary, where nobody is asked for approvals."""
    return RefusedError(
        "to promote although the old primary is not proven fenced takes the approval of two people, and none is asked"
        " for",
        given=f"resilience_approval_mode=none, {subject}",
        possible="resilience_approval_mode=ssh or awx; in an emergency resilience_break_glass=<reason>",
        next_step="have the old primary switched off and its fence agent confirm it, or have the override approved",
    )


def refuse_differences(approved: Subject, subject: Subject, what: str) -> None:
    """Every field of ``subject`` has to be what ``approved`` says.

    :raises RefusedError: one is not; each is named with both values.
    """
    differences = [
        f"{name} is {_shown(mine)} here, and {_shown(theirs)} {what}"
        for name, mine, theirs in (
            ("the operation", subject.operation, approved.operation),
            ("the cluster", subject.cluster, approved.cluster),
            *(
                (name, subject.parameters.get(name), approved.parameters.get(name))
                for name in sorted({*subject.parameters, *approved.parameters})
            ),
        )
        if mine != theirs
    ]
    if differences:
        raise RefusedError(
            "the approval is for something else: " + "; ".join(differences),
            given=str(subject),
            possible=str(approved),
            next_step="run what was approved, or ask anew",
        )


def same_person(one: str, other: str) -> bool:
    """Is ``anna`` ``Anna``, or ``anna@example.org``? A name without a domain may be that person of any domain."""
    left, right = one.strip().casefold(), other.strip().casefold()
    if "@" in left and "@" in right:
        return left == right
    return left.partition("@")[0] == right.partition("@")[0]


def _about(subject: Subject, requester: str) -> Approval:
    """What every kind of approval says: in words, and so that its hash can be made again."""
    return {
        "subject": str(subject),
        "operation": subject.operation,
        "parameters": dict(subject.parameters),
        "requester": requester,
        "subject_sha256": subject.sha256,
    }


def _count(signatures: Sequence[Signed], excluded: Mapping[str, str]) -> tuple[dict[str, Signed], list[str]]:
    """Who approved, each person and each key once; and why other signatures do not count."""
    counted: dict[str, Signed] = {}
    problems = []
    for signed in signatures:
        problem = signed.problem or _no_approver(signed, excluded) or _again(signed, counted)
        if problem is not None:
            problems.append(f"{signed.name}: {problem}")
        else:
            counted[signed.principals[0]] = signed
    return counted, problems


def _no_approver(signed: Signed, excluded: Mapping[str, str]) -> str | None:
    for name in signed.principals:
        if any(letter in name for letter in "*?!"):
            return f"the approvers' list names '{name}' for its key, which can be anybody"
        for person, why in excluded.items():
            if same_person(name, person):
                return f"it is by {name}, who {why} ({person})"
    return None


def _again(signed: Signed, counted: Mapping[str, Signed]) -> str | None:
    for name, other in counted.items():
        if signed.fingerprint == other.fingerprint or any(
            same_person(mine, theirs) for mine in signed.principals for theirs in other.principals
        ):
            return f"it is by {name} again"
    return None

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import approval
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.approval import (
    Node,
    Signed,
    Subject,
    Workflow,
    ask,
    bound,
    judge_signatures,
    judge_workflow,
    may_lose_data,
    read,
    same_person,
)

NOW = datetime(2026, 11, 23, 9, 12, 3, 500_000, tzinfo=timezone.utc)
FAILOVER = Subject("failover", "orders", {"resilience_candidate": "pg-a2"})
LOSING = Subject("failover", "orders", {"resilience_accept_loss": "region a is gone"})
ANNA = Signed("r.json.anna.sig", ("anna@example.org",), "SHA256:anna")
BOB = Signed("r.json.bob.sig", ("bob@example.org",), "SHA256:bob")


def judged(*signatures: Signed, subject: Subject = FAILOVER, **given: t.Any) -> list[dict[str, t.Any]]:
    request = ask(given.get("asked", subject), "carl", NOW, 60)
    return judge_signatures(request, subject, given.get("runner", "carl"), signatures, given.get("now", NOW))


def refused(*signatures: Signed, **given: t.Any) -> str:
    with pytest.raises(RefusedError) as error:
        judged(*signatures, **given)
    return str(error.value)


# requests ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "parameters", "losing"),
    [
        ("switchover", {}, False),
        ("failover", {}, False),
        ("failover", {"accept_loss": "gone"}, True),
        ("failover", {"accept_unfenced": "it is dark"}, True),
        ("rejoin", {"accept_unfenced": "it is dark"}, False),
        ("restore", {}, False),
        ("restore", {"restore_type": "default", "restore_set": "20261123-091203F"}, False),
        ("restore", {"restore_type": "time", "restore_target": "2026-11-23 09:41:00+00"}, True),
        ("restore", {"restore_type": "immediate"}, True),
        ("restore", {"restore_timeline": "3"}, True),
        ("restore", {"restore_repo": "2"}, True),
        ("restore", {"restore_keep": "no"}, True),
        ("restore", {"restore_keep": "true"}, False),
        ("restore", {"accept_loss": "the receiver is gone"}, True),
        ("restore_commit", {}, True),
        ("rejoin", {}, False),
        ("rejoin", {"rejoin_keep": "false"}, True),
        ("failback", {}, False),
        ("failback", {"rejoin_keep": "false"}, True),
        ("drill", {"scenario": "planned_switchover"}, False),
        ("drill", {"scenario": "region_lost"}, True),
        ("drill", {"scenario": "data_loss"}, True),
        ("drill", {"scenario": "members_lost"}, True),
        ("drill", {"scenario": "repository_lost"}, True),
        ("drill", {"scenario": "ransomware"}, True),
        ("drill", {"scenario": "backup_corrupt"}, False),
        ("repository_restore", {"repository_before": "2026-11-26 09:41:07+00"}, False),
    ],
)
def test_two_have_to_approve_what_may_lose_data(operation: str, parameters: dict[str, str], losing: bool) -> None:
    subject = Subject(operation, "orders", {f"resilience_{name}": value for name, value in parameters.items()})
    assert may_lose_data(subject) is losing
    assert subject.needed == (2 if losing else 1)


@pytest.mark.parametrize(
    ("under_way", "operation", "covered"),
    [
        ([], "failover", False),
        (["drill"], "failover", True),
        (["drill", "failover"], "restore", True),
        (["failback"], "rejoin", True),
        (["failback", "rejoin"], "switchover", True),
        (["failback"], "failover", False),
        (["rejoin"], "switchover", False),
    ],
)
def test_an_operation_is_approved_with_the_one_it_is_a_part_of(
    under_way: list[str], operation: str, covered: bool
) -> None:
    assert approval.covers(under_way, operation) is covered


def test_only_what_a_drill_ends_with_is_approved_with_it_after_its_seal() -> None:
    drill = Subject("drill", "orders", {"resilience_scenario": "region_lost"})
    assert approval.ends_drill(drill, Subject("failback", "orders", {}))
    assert not approval.ends_drill(drill, Subject("failback", "billing", {}))
    assert not approval.ends_drill(drill, Subject("failover", "orders", {}))
    assert not approval.ends_drill(Subject("drill", "orders", {}), Subject("failback", "orders", {}))


def test_parameters_are_those_that_decide_about_data_however_they_are_given() -> None:
    given = {
        "resilience_restore_exclusive": True,
        "resilience_restore_repo": 2,
        "resilience_restore_set": "",
        "resilience_candidate": None,
        "resilience_objectives": {"rpo_seconds": 300},
        "resilience_evidence_key": "/k",
        "ansible_user": "root",
    }
    same = {"resilience_restore_exclusive": "true", "resilience_restore_repo": "2"}
    assert bound(given) == {**same, "resilience_objectives": {"rpo_seconds": "300"}}


def test_a_request_is_read_as_it_was_written() -> None:
    odd = Subject("restore", "orders", {"resilience_restore_target": "before «Łódź» 'x' \"y\" \\ $(z)\n\u202e"})
    request = ask(odd, "ünal o'neill", NOW, 90)
    assert read(request.as_bytes(), "r.json") == request
    assert request.expires_at - request.requested_at == timedelta(minutes=90)
    assert request.as_bytes().isascii()
    told = json.loads(request.as_bytes())
    assert (told["needed"], told["subject_sha256"], told["requested_at"]) == (2, odd.sha256, "2026-11-23T09:12:03Z")


@pytest.mark.parametrize("minutes", [0, -5])
def test_a_request_that_was_never_good_is_not_written(minutes: int) -> None:
    with pytest.raises(InputError, match="at least a minute"):
        ask(FAILOVER, "carl", NOW, minutes)


#: A moment that has no place in UTC.
FAR = ask(FAILOVER, "carl", NOW, 60).as_bytes().replace(b"2026-11-23T10:12:03Z", b"9999-12-31T23:59:59-14:00")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b'{"operation": 1}', FAR, b"\xff", b"[" * 100_000]
)
def test_a_file_that_is_no_request_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(InputError, match="no request for an approval"):
        read(content, "r.json")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"needed": 2', b'"needed": 1'),
        (b'"cluster": "orders"', b'"cluster": "orders", "cluster": "billing"'),
        (b'"schema": "fraiseql.resilience/approval/1"', b'"schema": "other"'),
        (b"{\n", b"{\n\n"),
        (b'"requester": "carl"', b'"requester": ["carl"]'),
    ],
)
def test_a_request_is_written_in_one_way_only(old: bytes, new: bytes) -> None:
    content = ask(LOSING, "carl", NOW, 60).as_bytes()
    assert old in content
    with pytest.raises(RefusedError, match="was changed since it was written"):
        read(content.replace(old, new), "r.json")


# signatures ----------------------------------------------------------------------------------------------------------


def test_one_other_approves() -> None:
    [found] = judged(ANNA)
    assert found == {
        "kind": "ssh",
        "approver": "anna@example.org",
        "key_fingerprint": "SHA256:anna",
        "signature": "r.json.anna.sig",
        "subject": 'failover of orders resilience_candidate="pg-a2"',
        "operation": "failover",
        "parameters": {"resilience_candidate": "pg-a2"},
        "requester": "carl",
        "subject_sha256": FAILOVER.sha256,
        "request_sha256": found["request_sha256"],
        "requested_at": "2026-11-23T09:12:03Z",
        "expires_at": "2026-11-23T10:12:03Z",
    }


def test_two_approve_what_may_lose_data() -> None:
    assert [one["approver"] for one in judged(ANNA, BOB, subject=LOSING)] == ["anna@example.org", "bob@example.org"]


def test_a_request_is_good_until_it_expires_and_no_longer() -> None:
    end = NOW.replace(microsecond=0) + timedelta(minutes=60)
    assert judged(ANNA, now=end - timedelta(seconds=1))
    assert "expired at 2026-11-23T10:12:03Z, and it is 2026-11-23T10:12:03Z" in refused(ANNA, now=end)


def test_nobody_signed() -> None:
    assert "0 of 1 needed approvals: there is no signature beside the request" in refused()


def test_each_field_that_differs_is_named() -> None:
    asked = Subject("restore", "billing", {"resilience_restore_target": "0/5", "resilience_candidate": "pg a2"})
    said = refused(ANNA, asked=asked)
    assert "the operation is failover here, and restore was approved" in said
    assert "the cluster is orders here, and billing was approved" in said
    assert 'resilience_candidate is "pg-a2" here, and "pg a2" was approved' in said
    assert 'resilience_restore_target is not set here, and "0/5" was approved' in said


@pytest.mark.parametrize(
    ("signatures", "said"),
    [
        ((Signed("a.sig", problem="its key is none of the approvers' list"),), "0 of 1.*a.sig: its key is none"),
        ((Signed("a.sig", ("carl",), "SHA256:c"),), "by carl, who asked for it"),
        ((Signed("a.sig", ("Carl@example.org",), "SHA256:c"),), "by Carl@example.org, who asked for it"),
        ((Signed("a.sig", ("root", "carl"), "SHA256:c"),), "by carl, who asked for it"),
        ((Signed("a.sig", ("*@example.org",), "SHA256:c"),), "can be anybody"),
    ],
)
def test_a_signature_that_does_not_count(signatures: tuple[Signed, ...], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        judged(*signatures)


@pytest.mark.parametrize(
    "again",
    [
        Signed("r.json.sig", ("anna@example.org",), "SHA256:anna"),
        Signed("r.json.two.sig", ("anna@example.org",), "SHA256:another key"),
        Signed("r.json.two.sig", ("root@example.org",), "SHA256:anna"),
        Signed("r.json.two.sig", ("root@example.org", "anna"), "SHA256:another key"),
    ],
)
def test_one_person_or_one_key_is_one_approval(again: Signed) -> None:
    said = refused(ANNA, again, subject=LOSING)
    assert "1 of 2 needed approvals (anna@example.org)" in said
    assert "is by anna@example.org again" in said


def test_whoever_runs_what_another_asked_for_does_not_approve_it() -> None:
    assert "by anna@example.org, who runs it (anna)" in refused(ANNA, runner="anna")
    assert judged(BOB, runner="anna")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("anna", "Anna ", True),
        ("anna", "anna@example.org", True),
        ("anna@example.org", "anna@example.net", False),
        ("anna", "annabel@example.org", False),
    ],
)
def test_people_by_their_names(one: str, other: str, same: bool) -> None:
    assert [same_person(*pair) for pair in ((one, other), (other, one))] == [same, same]


# AWX -----------------------------------------------------------------------------------------------------------------

APPROVED = Node("DBA agrees", "successful", "anna", NOW - timedelta(minutes=5))
VARIABLES = {"resilience_cluster": "orders", "resilience_candidate": "pg-a2", "resilience_confirm": "orders"}


def asked(*nodes: Node, subject: Subject = FAILOVER, told: dict[str, t.Any] | None = None) -> list[dict[str, t.Any]]:
    workflow = Workflow("41", "carl", VARIABLES if told is None else told, nodes)
    return judge_workflow(workflow, subject, dict(subject.parameters), NOW, 60)


def test_an_approval_node_before_this_job() -> None:
    [found] = asked(APPROVED)
    assert (found["kind"], found["approver"], found["node"], found["workflow_job"]) == (
        "awx",
        "anna",
        "DBA agrees",
        "41",
    )
    assert (found["approved_at"], found["expires_at"]) == ("2026-11-23T09:07:03Z", "2026-11-23T10:07:03Z")


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (Node("n", "pending", None, None), "is pending, not approved"),
        (Node("n", "failed", "anna", NOW), "is failed, not approved"),
        (Node("n", "successful", None, NOW), "does not say who"),
        (Node("n", "successful", "carl", NOW), "by carl, who launched the workflow"),
        (Node("n", "successful", "anna", NOW - timedelta(hours=1)), "more than 60 minutes ago"),
    ],
)
def test_an_approval_node_that_does_not_count(node: Node, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        asked(node)


def test_two_nodes_of_one_person_are_one_approval() -> None:
    told = {"resilience_cluster": "orders", "resilience_accept_loss": "region a is gone"}
    with pytest.raises(RefusedError, match="1 of 2 needed approvals in workflow job 41"):
        asked(APPROVED, Node("second", "successful", "Anna", NOW), subject=LOSING, told=told)
    assert len(asked(APPROVED, Node("second", "successful", "bob", NOW), subject=LOSING, told=told)) == 2


def test_approvers_of_awx_see_what_is_run() -> None:
    with pytest.raises(RefusedError, match='resilience_candidate is "pg-a2" here, and not set in the workflow'):
        asked(APPROVED, told={"resilience_cluster": "orders"})
    with pytest.raises(RefusedError, match='the cluster is orders here, and "" in the workflow'):
        asked(APPROVED, told={"resilience_candidate": "pg-a2"})


def test_what_the_inventory_says_need_not_stand_in_the_workflow() -> None:
    subject = Subject("failover", "orders", {"resilience_objectives": {"rpo_seconds": "300"}})
    workflow = Workflow("41", "carl", {"resilience_cluster": "orders"}, [APPROVED])
    assert judge_workflow(workflow, subject, {}, NOW, 60)
    with pytest.raises(RefusedError, match="resilience_objectives is"):
        judge_workflow(workflow, subject, {"resilience_objectives": {"rpo_seconds": 300}}, NOW, 60)


# broken glass --------------------------------------------------------------------------------------------------------


def test_a_broken_glass_is_recorded_with_its_reason() -> None:
    assert approval.break_glass(LOSING, "carl", " nobody answers ", NOW) == {
        "kind": "break_glass",
        "reason": "nobody answers",
        "subject": 'failover of orders resilience_accept_loss="region a is gone"',
        "operation": "failover",
        "parameters": {"resilience_accept_loss": "region a is gone"},
        "requester": "carl",
        "subject_sha256": LOSING.sha256,
        "needed": 2,
        "at": "2026-11-23T09:12:03Z",
    }


@pytest.mark.parametrize("reason", ["true", "Yes", "1", " "])
def test_breaking_the_glass_takes_a_reason(reason: str) -> None:
    with pytest.raises(InputError, match="takes a reason"):
        approval.break_glass(FAILOVER, "carl", reason, NOW)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to AWX, which cannot run here: a server with its own certificate gives answers of the shape that AWX's API
documents. Signatures are tested with real ones in the test of the action approval."""

from __future__ import annotations

import copy
import typing as t
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import approval
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.approval import Node


def test_each_signature_beside_a_request_is_found(tmp_path: Path) -> None:
    request = tmp_path / "r [1].json"
    for name in (
        "r [1].json",
        "r [1].json.sig",
        "r [1].json.anna.sig",
        "r [1].jsonx.sig",
        "other.sig",
        "r [1].json.txt",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "r [1].json.folder.sig").mkdir()
    assert [path.name for path in approval.signature_files(request)] == ["r [1].json.anna.sig", "r [1].json.sig"]


def controller(awx: t.Any, **given: t.Any) -> approval.Controller:
    settings = {"url": awx.url, "token": awx.token, "ca": awx.ca, **given}
    return approval.controller(**settings)


def test_a_workflow_is_told_by_awx(awx: t.Any) -> None:
    found = approval.workflow("41", "44", controller(awx).ask)
    assert (found.job, found.requester) == ("41", "carl")
    assert found.variables["resilience_cluster"] == "lab"
    assert found.nodes == [
        Node("DBA agrees", "successful", "anna", datetime(2026, 11, 23, 9, 7, 3, 123456, timezone.utc))
    ]


def test_only_approvals_on_a_way_to_this_job_count(awx: t.Any) -> None:
    """102 runs beside it, 104 comes after it."""
    nodes = awx.answers["workflow_jobs/41/workflow_nodes/"]["results"]
    assert approval.approvals_before(nodes, 44) == [42]
    with pytest.raises(ValueError, match="no node of the workflow runs job 99"):
        approval.approvals_before(nodes, 99)


def test_the_path_of_the_api_may_be_given(awx: t.Any) -> None:
    assert approval.workflow("41", "44", controller(awx, url=f"{awx.url}/api/v2/").ask).requester == "carl"


def test_a_schedule_asks_in_its_own_name(awx: t.Any) -> None:
    awx.answers["workflow_jobs/41/"].update(summary_fields={}, launch_type="scheduled")
    assert approval.workflow("41", "44", controller(awx).ask).requester == "AWX (scheduled)"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("workflow_jobs/41/", {"extra_vars": "{"}),
        ("workflow_jobs/41/", {"extra_vars": "[1]", "summary_fields": {}}),
        ("workflow_jobs/41/", []),
        ("workflow_jobs/41/workflow_nodes/", {"results": []}),
        ("workflow_jobs/41/workflow_nodes/", {"results": [{"id": 1}]}),
        ("workflow_jobs/41/workflow_nodes/", {"next": "/api/v2/…?page=2", "results": []}),
        ("workflow_approvals/42/", {"name": "n"}),
        ("workflow_approvals/42/", {"name": "n", "status": "successful", "finished": "soon", "summary_fields": {}}),
        ("workflow_approvals/42/", None),
    ],
)
def test_an_answer_that_cannot_be_understood_is_unknown(awx: t.Any, path: str, answer: t.Any) -> None:
    awx.answers = copy.deepcopy(awx.answers)
    awx.answers[path] = answer
    with pytest.raises(UnknownError):
        approval.workflow("41", "44", controller(awx).ask)


@pytest.mark.parametrize(
    "given", [{"token": "wrong"}, {"url": "https://127.0.0.1:1"}, {"ca": None}, {"url": "https://[bad"}]
)
def test_an_awx_that_cannot_be_asked_is_unknown_and_the_token_is_not_told(awx: t.Any, given: dict[str, t.Any]) -> None:
    """Without its authority's certificate, AWX may be anybody."""
    with pytest.raises(UnknownError) as error:
        approval.workflow("41", "44", controller(awx, **given).ask)
    assert awx.token not in str(error.value.as_result())


def test_a_redirect_is_not_followed(awx: t.Any) -> None:
    awx.redirect = "https://127.0.0.1:1/"
    with pytest.raises(UnknownError):
        approval.workflow("41", "44", controller(awx).ask)
    assert awx.token not in repr(controller(awx))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": None}, "its address is missing"),
        ({"token": ""}, "a token is missing"),
        ({"url": "http://awx.example.org"}, "by https alone"),
    ],
)
def test_what_is_missing_to_ask_awx(awx: t.Any, given: dict[str, t.Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        controller(awx, **given)


@pytest.mark.parametrize(("workflow_job", "job"), [("", "44"), ("41", ""), ("41/../", "44")])
def test_a_job_outside_a_workflow_has_no_approval(workflow_job: str, job: str) -> None:
    with pytest.raises(InputError, match="no job of a workflow"):
        approval.workflow(workflow_job, job, lambda _path: {})

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action approval with real signatures: each verdict; and in real runs of Ansible, up to the sealed evidence."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import types
import typing as t
from pathlib import Path

import pytest
from markupsafe import escape

from ansible_collections.fraiseql.resilience.plugins.action import approval
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import utc_now
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import current, html

TOP = Path(__file__).resolve().parents[4]
BEGIN = {"name": "begin", "ansible.builtin.include_tasks": str(TOP / "playbooks" / "tasks" / "begin.yml")}
PASSED = {"name": "no_row_lost", "verdict": "passed", "reason": "12 of 12"}
SEALED = {"name": "seal", "fraiseql.resilience.evidence": {"state": "sealed", "report": {"checks": [PASSED]}}}
TOUCHED = {"name": "touch", "ansible.builtin.copy": {"content": "", "dest": "touched", "mode": "0600"}}
NAMESPACE = "resilience-approval@fraiseql"


class Office:
    """A control node whose user is carl, and people with keys: anna and bob may approve, carl too, eve may not."""

    def __init__(self, control: t.Any) -> None:
        self.control, self.folder = control, control.folder
        self.approvers = self.folder / "approvers"
        lines = []
        for name in ("anna", "bob", "carl", "eve"):
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.folder / name)]
            subprocess.run(argv, check=True)
            if name != "eve":
                public = " ".join((self.folder / f"{name}.pub").read_text().split()[:2])
                lines.append(f'{name}@example.org namespaces="{NAMESPACE}" {public}\n')
        self.approvers.write_text("".join(lines))

    def variables(self, given: dict[str, t.Any]) -> dict[str, t.Any]:
        usual = {
            "resilience_approval_mode": "ssh",
            "resilience_approvers": str(self.approvers),
            "resilience_approval_directory": str(self.folder / "approvals"),
            "resilience_requester": "carl",
        }
        return {name: value for name, value in {**usual, **given}.items() if value is not None}

    def run(self, *options: str, operation: str = "failover", tasks: t.Sequence[t.Any] = (), **given: t.Any) -> t.Any:
        """Begin an operation as its playbook does, touch a file in place of a host, and seal."""
        (self.folder / "touched").unlink(missing_ok=True)
        confirmed = {"resilience_cluster": "lab", "resilience_confirm": "lab"}
        extra = json.dumps(self.variables({**confirmed, **given}))
        begin = {**BEGIN, "vars": {"operation": operation}}
        return self.control.play([begin, *tasks, TOUCHED, SEALED], "-e", extra, *options, hosts="localhost")

    @property
    def touched(self) -> bool:
        return (self.folder / "touched").exists()

    @property
    def request(self) -> Path:
        [path] = (self.folder / "approvals").glob("*.json")
        return t.cast(Path, path)

    def decide(self, operation: str = "failover", **given: t.Any) -> dict[str, t.Any]:
        """The action's answer, without a run of Ansible."""
        arguments = {**dict.fromkeys(approval.ARGUMENTS), "operation": operation, "cluster": "lab"}
        task = types.SimpleNamespace(async_val=0, check_mode=False)
        templar = types.SimpleNamespace(template=lambda value: value)
        nothing: t.Any = None
        action = approval.ActionModule(
            t.cast("t.Any", task), nothing, nothing, nothing, t.cast("t.Any", templar), nothing
        )
        vars(action)["validate_argument_spec"] = lambda _spec: (None, arguments)
        hosts = {"groups": {"lab": ["pg-a1"]}, "hostvars": {"pg-a1": {}}}
        return t.cast("dict[str, t.Any]", action.run(None, {**hosts, **self.variables(given)}))

    def ask(self, **given: t.Any) -> Path:
        """The request that a refusal wrote."""
        answer = self.decide(**given)
        assert (answer["failed"], answer["error"]) == (True, "RefusedError"), answer
        return self.request

    def sign(self, request: Path, *names: str, namespace: str = NAMESPACE) -> None:
        for name in names:
            signature = request.with_name(f"{request.name}.{name}.sig")
            argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.folder / name)]
            with request.open("rb") as content, signature.open("wb") as file:
                subprocess.run(argv, check=True, stdin=content, stdout=file)

    def refused(self, said: str, request: Path | str | None, **given: t.Any) -> None:
        answer = self.decide(resilience_approval=None if request is None else str(request), **given)
        assert (answer["failed"], answer["changed"]) == (True, False), answer
        assert re.search(said, answer["msg"], re.DOTALL), answer["msg"]
        assert current.handed_over() == {"approvals": [], "files": {}}


@pytest.fixture
def office(control: t.Any, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_given: {})
    monkeypatch.setattr(current, "_of_run", lambda name: control.folder / f"run.{name}")
    return Office(control)


# asked, signed, run ---------------------------------------------------------------------------------------------------


def test_what_is_refused_says_how_to_sign_and_how_to_go_on(office: Office) -> None:
    """The words that are shown are run, by a shell, as they stand."""
    target = "before «Łódź» 'x' $(touch bad)"
    directory = str(office.folder / "to sign's")
    given = {
        "operation": "restore",
        "resilience_restore_type": "name",
        "resilience_restore_target": target,
        "resilience_approval_directory": directory,
    }
    answer = office.run(**given)
    assert answer.rc != 0
    assert not office.touched
    assert answer.folders == []
    fatal = answer.stdout[answer.stdout.index("{", answer.stdout.index("fatal:")) :]
    shown = json.JSONDecoder().raw_decode(fatal)[0]
    assert shown["error"] == "RefusedError"
    sign = next(line.strip() for line in shown["next_step"].splitlines() if "-Y sign" in line)
    again = next(line.strip() for line in shown["next_step"].splitlines() if line.strip().startswith("-e"))
    for name in ("anna", "bob"):
        command = sign.replace("<key>", name).replace("<name>", name)
        subprocess.run(["/bin/sh", "-c", command], check=True, cwd=office.folder)
    answer = office.run(*shlex.split(again), **given)
    assert answer.rc == 0, answer.stdout
    assert office.touched
    assert not (office.folder / "bad").exists()
    request = json.loads((answer.folder / "approvals" / "restore" / "request.json").read_text())
    assert request["parameters"] == {"resilience_restore_type": "name", "resilience_restore_target": target}
    assert (request["needed"], request["requester"], request["cluster"]) == (2, "carl", "lab")
    assert [one["approver"] for one in answer.report["approvals"]] == ["anna@example.org", "bob@example.org"]


def test_an_auditor_verifies_the_approval_in_the_evidence_offline(office: Office) -> None:
    request = office.ask()
    office.sign(request, "anna")
    answer = office.run(resilience_approval=str(request))
    assert answer.rc == 0, answer.stdout
    [approval] = answer.report["approvals"]
    assert approval["signature"] == "approvals/failover/request.json.1.sig"
    page = (answer.folder / "report.html").read_text()
    [command] = html.approval_commands(answer.report)
    assert escape(command) in page
    done = subprocess.run(["/bin/sh", "-c", command], check=True, cwd=answer.folder, stdout=subprocess.PIPE)
    assert approval["key_fingerprint"] in done.stdout.decode()
    kinds = [event["kind"] for event in answer.events]
    assert kinds == ["opened", "approval", "added", "added", "added", "sealed"]
    assert "anna@example.org for failover of lab, asked for by carl" in page
    assert 'class="alarm"' not in page
    verified = {"name": "v", "fraiseql.resilience.evidence": {"state": "verified", "path": str(answer.folder)}}
    assert office.control.play([verified]).rc == 0


def test_a_killed_run_is_run_again_with_the_same_approval(office: Office) -> None:
    request = office.ask()
    office.sign(request, "anna")
    killed = {"name": "killed", "ansible.builtin.fail": {"msg": "as if killed"}}
    assert office.run(resilience_approval=str(request), tasks=[killed]).rc != 0
    answer = office.run(resilience_approval=str(request))
    assert answer.rc == 0, answer.stdout
    assert office.touched


def test_check_mode_needs_none_and_writes_nothing(office: Office) -> None:
    answer = office.run("--check", resilience_confirm=None, resilience_approvers=None, resilience_accept_loss="gone")
    assert answer.rc == 0, answer.stdout
    assert "approvals that the operation itself will take: 2" in answer.stdout
    assert not (office.folder / "approvals").exists()


def test_where_none_is_asked_for_none_is_recorded(office: Office) -> None:
    answer = office.run(resilience_approval_mode=None)
    assert answer.rc == 0, answer.stdout
    assert answer.report["approvals"] == []
    assert [event["kind"] for event in answer.events] == ["opened", "sealed"]


@pytest.mark.parametrize("operation", ["failover", "drill"])
def test_a_fence_is_overridden_by_nobody_alone(office: Office, operation: str) -> None:
    unfenced = {"resilience_approval_mode": None, "resilience_accept_unfenced": "its agent is dark"}
    answer = office.run(operation=operation, **unfenced)
    assert answer.rc != 0
    assert not office.touched
    assert "takes the approval of two people, and none is asked for" in answer.stdout
    answer = office.run(operation=operation, **unfenced, resilience_break_glass="nobody answers")
    assert answer.rc == 0, answer.stdout
    [approval] = answer.report["approvals"]
    assert (approval["kind"], approval["needed"]) == ("break_glass", 2)
    assert approval["parameters"]["resilience_accept_unfenced"] == "its agent is dark"


def test_two_sign_that_a_fence_is_overridden(office: Office) -> None:
    unfenced = {"resilience_accept_unfenced": "its agent is dark"}
    request = office.ask(**unfenced)
    assert json.loads(request.read_text())["needed"] == 2


def test_the_clusters_group_goes_before_all(office: Office) -> None:
    """What the group all says reaches localhost, where the approval is asked for; the cluster's hosts say otherwise."""
    folder = office.folder / "group_vars"
    folder.mkdir()
    (folder / "all.yml").write_text("resilience_approval_mode: none\nresilience_restore_type: default\n")
    (folder / "lab.yml").write_text("resilience_approval_mode: ssh\nresilience_restore_type: immediate\n")
    assert office.run(operation="restore", resilience_approval_mode=None).rc != 0
    request = office.request
    assert json.loads(request.read_text())["parameters"] == {"resilience_restore_type": "immediate"}


# refused --------------------------------------------------------------------------------------------------------------


def test_no_signature(office: Office) -> None:
    office.refused("0 of 1 needed approvals: there is no signature beside the request", office.ask())


def test_a_request_for_other_parameters(office: Office) -> None:
    request = office.ask(resilience_candidate="pg-a1")
    office.sign(request, "anna")
    said = 'resilience_candidate is "pg-b1" here, and "pg-a1" was approved'
    office.refused(said, request, resilience_candidate="pg-b1")
    office.refused("resilience_candidate is not set here", request)
    office.refused("the operation is switchover here, and failover was approved", request, operation="switchover")


def test_a_request_that_has_expired(office: Office) -> None:
    request = office.ask()
    content = request.read_text()
    for name, hour in (("requested_at", 9), ("expires_at", 10)):
        content, changed = re.subn(rf'("{name}": ")[^"]+', rf"\g<1>2020-11-23T{hour:02}:12:03Z", content)
        assert changed == 1
    request.write_text(content)
    office.sign(request, "anna")
    office.refused("the approval expired at 2020-", request)


def test_a_key_that_is_none_of_the_approvers(office: Office) -> None:
    request = office.ask()
    office.sign(request, "eve")
    office.refused("eve.sig: its key is none of the approvers' list", request)


def test_the_requester_signs_himself(office: Office) -> None:
    request = office.ask()
    office.sign(request, "carl")
    office.refused("it is by carl@example.org, who asked for it", request)


def test_awx_knows_better_than_a_variable_who_asks(office: Office) -> None:
    request = office.ask()
    assert json.loads(request.read_text())["requester"] == "carl"
    office.sign(request, "anna")
    office.refused("it is by anna@example.org, who runs it", request, awx_user_name="anna")


def test_one_of_two(office: Office) -> None:
    request = office.ask(resilience_accept_loss="region a is gone")
    office.sign(request, "anna", "eve")
    said = r"1 of 2 needed approvals \(anna@example.org\): .*eve.sig: its key is none"
    office.refused(said, request, resilience_accept_loss="region a is gone")


def test_the_same_approver_twice(office: Office) -> None:
    request = office.ask(operation="restore_commit")
    office.sign(request, "anna")
    signature = request.with_name(f"{request.name}.anna.sig")
    request.with_name(f"{request.name}.sig").write_bytes(signature.read_bytes())
    office.refused("1 of 2 .*it is by anna@example.org again", request, operation="restore_commit")


def test_a_signature_for_something_else(office: Office) -> None:
    request = office.ask()
    office.sign(request, "anna", namespace="file")
    office.refused("anna.sig: .*namespace does not match", request)


def test_a_request_that_was_changed_after_it_was_signed(office: Office) -> None:
    request = office.ask()
    office.sign(request, "anna")
    content = request.read_text()
    request.write_text(content.replace('"requester": "carl"', '"requester": "dora"'))
    office.refused("anna.sig: .*incorrect signature", request)
    request.write_text(content + "\n")
    office.refused("the request was changed since it was written", request)


def test_files_that_are_not_what_they_should_be(office: Office) -> None:
    request = office.ask()
    office.refused("the file cannot be read: No such file.*resilience_approval=/none", "/none")
    office.refused(
        "the file cannot be read: No such file.*resilience_approvers=", request, resilience_approvers="/none"
    )
    office.refused("there is no list of approvers", request, resilience_approvers=None)
    request.with_name(f"{request.name}.sig").write_text("junk")
    office.refused("sig: Couldn't parse signature", request)
    request.write_text("{")
    office.refused("this file is no request for an approval", request)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"resilience_approval_mode": "pgp"}, "no mode of approval.*Possible: none, ssh, awx"),
        ({"resilience_approval_valid_minutes": "soon"}, "no number of minutes"),
        ({"resilience_approval_valid_minutes": 0}, "at least a minute"),
        ({"resilience_approval_directory": "/proc/none"}, "cannot be written"),
        ({"resilience_break_glass": "yes"}, "takes a reason"),
        ({"resilience_approval_mode": "awx"}, "its address is missing"),
    ],
)
def test_settings_that_cannot_be_right(office: Office, given: dict[str, t.Any], said: str) -> None:
    office.refused(said, None, **given)


# broken glass, drills -------------------------------------------------------------------------------------------------


def test_a_broken_glass_goes_on_and_is_loud(office: Office) -> None:
    answer = office.run(resilience_break_glass="nobody <b>answers</b>", resilience_approvers=None)
    assert answer.rc == 0, answer.stdout
    assert office.touched
    assert "[WARNING]: BREAK GLASS: failover of lab goes on WITHOUT APPROVAL" in answer.stdout
    assert "BREAK GLASS, failover WITHOUT APPROVAL, carl: nobody" in answer.stdout
    [approval] = answer.report["approvals"]
    assert (approval["kind"], approval["reason"], approval["requester"]) == (
        "break_glass",
        "nobody <b>answers</b>",
        "carl",
    )
    page = (answer.folder / "report.html").read_text()
    assert '<p class="alarm" role="alert"><strong>Break glass: this was run WITHOUT APPROVAL.</strong>' in page
    assert "Approved by nobody for failover of lab, at the word of carl" in page
    assert "nobody &lt;b&gt;answers" in page


def test_a_drill_is_approved_with_all_that_it_does(office: Office) -> None:
    given = {"operation": "drill", "resilience_scenario": "primary_crash"}
    request = office.ask(**given)
    office.sign(request, "anna")
    inside = [{**BEGIN, "vars": {"operation": "failover"}}, {**BEGIN, "vars": {"operation": "rejoin"}}]
    answer = office.run(resilience_approval=str(request), tasks=inside, **given)
    assert answer.rc == 0, answer.stdout
    assert [one["operation"] for one in answer.report["approvals"]] == ["drill"]


def test_a_drill_is_approved_with_what_it_does_after_its_seal(office: Office) -> None:
    """region_lost ends with a failback, which has evidence of its own and runs two more operations."""
    given = {"operation": "drill", "resilience_scenario": "region_lost"}
    request = office.ask(**given)
    office.sign(request, "anna", "bob")
    home = [{**BEGIN, "vars": {"operation": operation}} for operation in ("failback", "rejoin", "switchover")]
    answer = office.run(resilience_approval=str(request), tasks=[SEALED, *home], **given)
    assert answer.rc == 0, answer.stdout
    reports = [json.loads((folder / "report.json").read_text()) for folder in answer.folders]
    assert [one["operation"] for one in reports] == ["drill", "failback"]
    assert reports[0]["approvals"] == reports[1]["approvals"]
    assert [one["operation"] for one in reports[1]["approvals"]] == ["drill", "drill"]
    after = [SEALED, {**BEGIN, "vars": {"operation": "failover"}}]
    answer = office.run(resilience_approval=str(request), tasks=after, **given)
    assert answer.rc != 0
    assert "the operation is failover here, and drill was approved" in answer.stdout


def test_the_approval_of_one_operation_covers_no_other_of_the_same_run(office: Office) -> None:
    request = office.ask(operation="rejoin")
    office.sign(request, "anna")
    after = [{**BEGIN, "vars": {"operation": "failover"}}]
    answer = office.run(resilience_approval=str(request), tasks=after, operation="rejoin")
    assert answer.rc != 0
    assert "the operation is failover here, and rejoin was approved" in answer.stdout
    assert not office.touched


def test_no_variable_tells_the_evidence_of_approvals(office: Office) -> None:
    """A file of the run hands them over; and a report that leaves one out is found out."""
    forged = {"approvals": [{"kind": "ssh", "approver": "anna"}], "files": {}}
    answer = office.run(resilience_approval_mode="none", resilience_approved=forged, approved=forged)
    assert answer.rc == 0, answer.stdout
    assert answer.report["approvals"] == []


# AWX, whose answers a server of the test gives: AWX itself cannot run here --------------------------------------------


def in_awx(awx: t.Any, **given: t.Any) -> dict[str, t.Any]:
    job = {"awx_workflow_job_id": 41, "awx_job_id": 44, "awx_user_name": "carl", "resilience_requester": None}
    settings = {"resilience_awx_url": awx.url, "resilience_awx_token": awx.token, "resilience_awx_ca": awx.ca}
    return {"resilience_approval_mode": "awx", **settings, **job, **given}


def test_awx_tells_who_approved(office: Office, awx: t.Any) -> None:
    awx.answers["workflow_approvals/42/"]["finished"] = utc_now()
    answer = office.run("-vvv", **in_awx(awx))
    assert answer.rc == 0, answer.stdout
    [approval] = answer.report["approvals"]
    assert (approval["kind"], approval["approver"], approval["requester"]) == ("awx", "anna", "carl")
    assert "anna for failover of lab, asked for by carl" in (answer.folder / "report.html").read_text()
    assert awx.token not in answer.stdout
    assert not [path for path in answer.folder.rglob("*") if path.is_file() and awx.token in path.read_text()]


def test_awx_approved_something_else_or_too_long_ago(office: Office, awx: t.Any) -> None:
    assert "more than 60 minutes ago" in office.run(**in_awx(awx)).stdout
    answer = office.run(**in_awx(awx), resilience_candidate="pg-a1")
    assert "resilience_candidate is" in answer.stdout
    assert not office.touched
    assert answer.folders == []


def test_an_awx_that_does_not_answer_is_no_approval(office: Office, awx: t.Any) -> None:
    answer = office.run(**in_awx(awx, resilience_awx_token="wrong"))
    assert answer.rc != 0
    assert "AWX gave no answer: HTTP Error 401" in answer.stdout
    assert '"error": "UnknownError"' in answer.stdout
    assert not office.touched

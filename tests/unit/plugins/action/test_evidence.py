# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import typing as t

import pytest

PASSED = {"name": "no_row_lost", "verdict": "passed", "reason": "12 of 12"}
FAILED = {"name": "rto", "verdict": "failed", "reason": "12 of at most 10 s"}


def evidence(state: str, **arguments: t.Any) -> dict[str, t.Any]:
    return {"name": state, "fraiseql.resilience.evidence": {"state": state, **arguments}}


def mark(word: str, **arguments: t.Any) -> dict[str, t.Any]:
    return {"name": f"mark {word}", "fraiseql.resilience.rto_timer": {"mark": word, **arguments}}


OPENED = evidence("opened", operation="drill", scenario="primary_host_lost", cluster="lab")
SEALED = evidence("sealed", report={"checks": [PASSED], "rpo": {"transactions": 0}})
SYNC = {"name": "compare clocks", "fraiseql.resilience.rto_timer": {"sync_with": "observer", "samples": 2}}


def test_a_drill_from_its_opening_to_its_verification(control: t.Any) -> None:
    (control.folder / "there.jsonl").write_text('{"type": "header"}\n')
    fetched = {"name": "ledger.jsonl", "src": str(control.folder / "there.jsonl"), "remote_src": True}
    again = evidence("verified", path="{{ hostvars.observer.ansible_facts.resilience_evidence_path }}")
    inside = [
        evidence("opened", operation="failover", cluster="lab"),
        mark("t4", detail="pg-a1: off"),
        evidence("sealed", operation="failover", report={"checks": [{**PASSED, "name": "fenced"}]}),
    ]
    tasks = [OPENED, SYNC, mark("fault"), *inside, evidence("added", **fetched), SEALED, again]
    answer = control.play(tasks)
    assert answer.rc == 0, answer.stdout
    assert answer.folder.name.endswith("-drill-lab")
    assert answer.report["verdict"] == "passed"
    assert [check["name"] for check in answer.report["checks"]] == ["fenced", "no_row_lost"]
    assert answer.report["chain"]["t4"] > answer.report["chain"]["t0"] == 0
    assert set(answer.report["inventory"]) == {"pg-a1", "observer"}
    assert answer.report["evidence"]["signed"] is True
    kinds = [event["kind"] for event in answer.events]
    assert kinds == ["opened", "clock", "mark", "joined", "mark", "left", "added", "sealed"]
    assert (answer.folder / "ledger.jsonl").read_text() == '{"type": "header"}\n'


def test_the_seal_of_the_outermost_ends_those_inside(control: t.Any) -> None:
    """A playbook that opens when run alone, and leaves sealing to the drill around it, does no harm."""
    answer = control.play([OPENED, evidence("opened", operation="failover", cluster="lab"), SEALED])
    assert answer.rc == 0, answer.stdout
    assert answer.report["operation"] == "drill"


def test_check_mode_leaves_nothing_behind(control: t.Any) -> None:
    answer = control.play([OPENED, mark("fault"), evidence("added", name="a", content="b"), SEALED], "--check")
    assert answer.rc == 0, answer.stdout
    assert answer.folders == []


def test_a_drill_without_a_key_does_not_begin(control: t.Any) -> None:
    answer = control.play([OPENED], key=False)
    assert answer.rc != 0
    assert "there is no key to sign it with" in answer.stdout
    assert "ssh-keygen -t ed25519" in answer.stdout
    assert answer.folders == []


def test_a_key_that_the_clusters_hosts_name_signs_what_localhost_opens(control: t.Any) -> None:
    (control.folder / "group_vars").mkdir()
    (control.folder / "group_vars" / "lab.yml").write_text(f"resilience_evidence_key: {control.key}\n")
    answer = control.play([OPENED, SEALED], key=False, hosts="localhost")
    assert answer.rc == 0, answer.stdout
    assert answer.report["evidence"]["signed"] is True


def test_an_emergency_needs_no_key(control: t.Any) -> None:
    answer = control.play([evidence("opened", operation="failover", cluster="lab"), SEALED], key=False)
    assert answer.rc == 0, answer.stdout
    assert answer.report["verdict"] == "passed"
    assert answer.report["evidence"]["signed"] is False


def test_an_aborted_operation_leaves_its_reason(control: t.Any) -> None:
    failing = {"name": "Fence", "ansible.builtin.fail": {"msg": "the fence agent gave no answer"}}
    answer = control.play([OPENED, mark("fault"), failing, SEALED])
    assert answer.rc != 0
    assert not (answer.folder / "SHA256SUMS").exists()
    last = answer.events[-1]
    assert (last["kind"], last["task"], last["host"]) == ("failure", "Fence", "observer")
    assert last["reason"] == "the fence agent gave no answer"


def test_a_secret_that_fails_is_not_told(control: t.Any) -> None:
    failing = {"name": "Log in", "ansible.builtin.fail": {"msg": "password hunter2 is wrong"}, "no_log": True}
    answer = control.play([OPENED, failing])
    assert answer.rc != 0
    assert "hunter2" not in (answer.folder / "timeline.jsonl").read_text()


def test_a_killed_run_leaves_what_it_knew(control: t.Any) -> None:
    """As a job in AWX is cancelled: no task after this one runs, not even one of rescue or always."""
    sleeping = {"name": "Wait", "ansible.builtin.command": "sleep 60"}
    command = control.command([OPENED, mark("fault", detail="host killed"), sleeping, SEALED])
    process = subprocess.Popen(
        command, cwd=control.folder, env=control.environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list((control.folder / "evidence").glob("*/timeline.jsonl")) or "fault" not in "".join(
        path.read_text() for path in (control.folder / "evidence").glob("*/timeline.jsonl")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    [drill] = (control.folder / "evidence").glob("*-drill-lab")
    assert not (drill / "SHA256SUMS").exists()
    answer = control.play([evidence("summarised", cluster="lab", paths=[str(drill)])])
    assert answer.rc != 0
    assert "primary_host_lost failed: cut off before its end" in answer.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"report": {"checks": [FAILED], "verdict": "passed"}}, "contradicts the checks"),
        ({"report": {"rto": 3}}, "the report holds what has no place in it"),
        ({"judged": {"changed": False}}, "judged is not the result of recovery_objectives"),
    ],
)
def test_a_wrong_report_seals_nothing(control: t.Any, given: dict[str, t.Any], said: str) -> None:
    answer = control.play([OPENED, evidence("sealed", **given)])
    assert answer.rc != 0
    assert said in answer.stdout
    assert not (answer.folder / "SHA256SUMS").exists()


def test_a_series_is_summarised_with_what_is_missing(control: t.Any) -> None:
    opened = evidence("opened", operation="drill", scenario="planned_switchover", cluster="lab", series="s1")
    other = evidence("opened", operation="drill", scenario="data_loss", cluster="lab", series="s2")
    assert control.play([opened, SEALED]).rc == 0
    assert control.play([other, SEALED]).rc == 0
    good = control.play([evidence("summarised", cluster="lab", series="s1", scenarios=["planned_switchover"])])
    assert good.rc == 0, good.stdout
    assert "planned_switchover" in good.stdout
    assert "data_loss" not in good.stdout
    bad = control.play(
        [evidence("summarised", cluster="lab", series="s1", scenarios=["planned_switchover", "data_loss"])]
    )
    assert bad.rc != 0
    assert "data_loss failed: it left no evidence" in bad.stdout
    found = [json.loads((path / "summary.json").read_text()) for path in bad.folders if "-drills-" in path.name]
    assert [one["verdict"] for one in found] == ["passed", "failed"]


def test_an_edited_report_does_not_verify(control: t.Any) -> None:
    answer = control.play([OPENED, SEALED])
    report = answer.folder / "report.json"
    report.chmod(0o644)
    report.write_text(report.read_text().replace("12 of 12", "13 of 13"))
    verified = control.play([evidence("verified", path=str(answer.folder))])
    assert verified.rc != 0
    assert "files_as_sealed: report.json was changed" in verified.stdout


def test_two_clusters_do_not_share_evidence(control: t.Any) -> None:
    answer = control.play([OPENED, evidence("opened", operation="failover", cluster="other")])
    assert answer.rc != 0
    assert "an operation on another cluster is under way" in answer.stdout

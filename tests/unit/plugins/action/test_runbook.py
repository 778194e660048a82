# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action and playbook runbook: a cellar that is wet, with playbooks that look at a file and write it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from sample_runbook import document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import signature
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
PLAYBOOK = "fraiseql.resilience.runbook"
#: Looks at the water, which may take its time.
VERIFY = """
- hosts: "{{ resilience_cluster }}:&observers"
  gather_facts: false
  tasks:
    - ansible.builtin.command: "sleep {{ resilience_look_seconds }}"
      when: resilience_look_seconds is defined
    - ansible.builtin.slurp: {src: "{{ inventory_dir }}/water"}
      register: water
    - ansible.builtin.assert:
        that: water.content | b64decode == 'none'
        fail_msg: "water stands: {{ water.content | b64decode }}"
"""
#: Drains it, and writes down what it was given, and the command lines of all that runs meanwhile.
RESPOND = """
- hosts: "{{ resilience_cluster }}:&observers"
  gather_facts: false
  tasks:
    - ansible.builtin.shell: ps -eo args | grep '[a]nsible-playbook' >commands
      args: {chdir: "{{ inventory_dir }}"}
    - ansible.builtin.shell: |
        echo {{ resilience_rack }} >>drained
        printf '%s %s' '{{ resilience_secret | default() }}' '{{ resilience_vaulted | default() }}' >secrets
        {{ resilience_drains | default('printf none >water') }}
      args: {chdir: "{{ inventory_dir }}"}
"""


#: The same where a site asks for an approval, with evidence of its own.
APPROVED = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_tasks: TOP/playbooks/tasks/begin.yml
      vars: {operation: respond, runbook: cellar_wet}
    - ansible.builtin.copy: {content: none, dest: "{{ resilience_folder }}/water", mode: "0600"}
- ansible.builtin.import_playbook: TOP/playbooks/runbooks/end.yml
  vars: {runbook: cellar_wet}
""".replace("TOP", str(catalogue.TOP))


class Cellar:
    """A control node with a runbook of its own, and a cluster that is a file."""

    def __init__(self, control: t.Any) -> None:
        self.control, self.folder = control, control.folder
        self.book, self.respond = document(), RESPOND
        own = {"resilience_cluster": "$CLUSTER"}
        step(self.book, "look").update(task={"playbook": "verify", "variables": own})
        step(self.book, "dry").update(
            task={"playbook": "verify", "variables": own}, command=[], no_command="it is dark"
        )
        step(self.book, "drain").update(task={"playbook": "respond", "variables": {"resilience_rack": "$RACK"}})
        rises = "steps.look.said | select('search', 'rising') | list | length > 0"
        step(self.book, "choose")["branches"][0]["test"] = rises
        self.book["parameters"]["RACK"] = "the rack that is drained"
        self.water("rising")

    def water(self, how: str) -> None:
        (self.folder / "water").write_text(how)

    def command(self, state: str = "run", *options: str, **variables: t.Any) -> list[str]:
        place = self.folder / "books" / "cellar_wet"
        place.mkdir(parents=True, exist_ok=True)
        (place / "runbook.yml").write_text(yaml.safe_dump(self.book, sort_keys=False))
        (place / "verify.yml").write_text(VERIFY)
        (place / "respond.yml").write_text(self.respond)
        given = {
            "resilience_runbook_state": state,
            "resilience_runbook_directory": str(self.folder / "books"),
            "resilience_runbook": "cellar",
            "resilience_cluster": "lab",
            "resilience_confirm": "lab",
            "resilience_runbook_parameters": {"RACK": "R7"},
            "resilience_evidence_key": str(self.control.key),
            **variables,
        }
        (self.folder / "given.json").write_text(json.dumps(given))
        return [str(ANSIBLE), "-i", "inventory.yml", PLAYBOOK, "-e", "@given.json", *options]

    @property
    def environment(self) -> dict[str, str]:
        return {**self.control.environment, "ANSIBLE_STDOUT_CALLBACK": "fraiseql.resilience.recovery_clock"}

    def run(self, state: str = "run", *options: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(state, *options, **variables), cwd=self.folder, env=self.environment,
            check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def start(self, **variables: t.Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(**variables), cwd=self.folder, env=self.environment,
            stdout=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip

    @property
    def evidence(self) -> Path:
        [folder] = (self.folder / "evidence").glob("*-runbook-lab*")
        return t.cast("Path", folder)

    @property
    def events(self) -> list[dict[str, t.Any]]:
        return list(Bundle(self.evidence).events())

    def story(self) -> list[str]:
        return [
            f"{event['step']} {event['outcome']}{' again' if event['kind'] == 'step_rechecked' else ''}"
            for event in self.events
            if event["kind"] in ("step_ended", "step_rechecked")
        ]

    @property
    def drained(self) -> int:
        path = self.folder / "drained"
        return len(path.read_text().split()) if path.exists() else 0


@pytest.fixture
def cellar(control: t.Any) -> Cellar:
    return Cellar(control)


def eventually(look: t.Callable[[], t.Any]) -> None:
    end = time.monotonic() + 120
    while not look():
        assert time.monotonic() < end
        time.sleep(0.05)


def runs(command: str) -> bool:
    """On the whole machine: another test, which may run at the same time, has to have another command."""
    return command in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_it_goes_by_outcomes_to_its_end_and_leaves_signed_evidence(cellar: Cellar) -> None:
    ended = cellar.run()
    assert ended.returncode == 0, ended.stdout
    assert cellar.story() == ["look failure", "choose success", "drain success", "dry success"]
    report = json.loads((cellar.evidence / "report.json").read_text())
    assert (report["verdict"], report["operation"], report["scenario"]) == ("passed", "runbook", "cellar_wet")
    assert report["evidence"]["signed"] is True
    assert [one["step"] for one in report["details"]["steps"]] == ["look", "choose", "drain", "dry"]
    assert "failure: observer: water stands: rising → choose" in ended.stdout
    assert "success: it rises → drain" in ended.stdout
    told = [json.loads(line) for line in (cellar.evidence / "steps/01-look.jsonl").read_text().splitlines()]
    assert [one["kind"] for one in told] == ["begun", "failed", "ended"]
    assert [(mark["mark"], mark["detail"]) for mark in report["marks"]][-1] == ("step dry", "success → done")
    assert not signature.differences(cellar.evidence)
    assert cellar.drained == 1 and not list((cellar.folder / "home").rglob("step-*"))


def test_a_step_whose_time_is_over_is_ended_and_unknown(cellar: Cellar) -> None:
    step(cellar.book, "look")["seconds"] = 2
    step(cellar.book, "choose")["branches"][0]["test"] = "steps.look.outcome == 'unknown'"
    begin = time.monotonic()
    ended = cellar.run(resilience_look_seconds=255.771, resilience_runbook_parameters={})
    assert time.monotonic() - begin < 250
    assert "unknown: it had not ended after 2 s, and was ended → choose" in ended.stdout, ended.stdout
    # Not each way needs it, so it is asked for when its step comes.
    said = " ".join(ended.stdout.split())
    assert "drain: The water is drained. nobody said what $RACK is. Possible: RACK: the rack that is drained" in said
    assert ended.returncode != 0 and "so far is kept in" in said
    assert not runs("sleep 255.771")


def test_it_stops_for_a_person_and_goes_on_with_the_answer(cellar: Cellar) -> None:
    cellar.water("still")
    first = cellar.run()
    assert first.returncode != 0
    said = " ".join(first.stdout.split())
    assert "The verdict is unknown. choose: Does it still rise?" in said
    assert "1 – it rises: drain comes next; 2 – it stands: shut comes next; unknown – nobody can say" in said
    assert """The same command with -e '{"resilience_runbook_answers": {"choose": "1"}}'""" in said
    assert f"All that was done so far is kept in {cellar.evidence}" in said
    second = cellar.run(resilience_runbook_answers={"choose": "shut"})
    assert second.returncode != 0 and "shut: The main is shut by hand. Turn the wheel." in second.stdout
    answers = {"choose": "shut", "shut": "done"}
    third = cellar.run(resilience_runbook_answers=answers, resilience_drains="true")
    assert third.returncode != 0
    assert "The verdict is failed. The end is lost: Call the plumber (failed)" in third.stdout, third.stdout
    assert cellar.story() == [
        "look failure", "look failure again", "choose success", "look failure again", "shut success", "drain success",
        "dry failure",
    ]  # fmt: skip
    report = json.loads((cellar.evidence / "report.json").read_text())
    assert report["verdict"] == "failed"
    assert [one.split(",")[0] for one in report["not_tested"]][:2] == ["choose", "shut"]


def test_what_has_changed_since_leads_elsewhere(cellar: Cellar) -> None:
    """Whoever answered did not know of it: the answer does not count."""
    cellar.water("still")
    assert cellar.run().returncode != 0
    cellar.water("none")
    ended = cellar.run(resilience_runbook_answers={"choose": "1"})
    assert ended.returncode == 0, ended.stdout
    assert "success, and was failure: it goes on from here" in ended.stdout
    assert cellar.story() == ["look failure", "look success again", "dry success"]
    assert cellar.drained == 0


def test_a_run_that_is_killed_goes_on_with_the_step_that_it_was_in(cellar: Cellar) -> None:
    process = cellar.start(resilience_drains="sleep 255.772")
    eventually(lambda: cellar.drained == 1)
    process.kill()
    process.wait(60)
    timeline = cellar.evidence / "timeline.jsonl"
    with timeline.open("a") as file:
        file.write('{"kind": "torn')
    ended = cellar.run()
    assert ended.returncode == 0, ended.stdout
    assert f"an earlier run left {cellar.evidence.name}; this one goes on" in ended.stdout
    assert "had begun and not ended, and is begun again" in ended.stdout
    # What an action half done has changed is no reason to leave it so.
    assert cellar.story() == ["look failure", "choose success", "drain success", "dry success"]
    assert cellar.drained == 2
    assert not runs("sleep 255.772")


def test_two_runs_at_once_on_one_cluster_are_refused(cellar: Cellar) -> None:
    process = cellar.start(resilience_drains="sleep 255.773")
    eventually(lambda: cellar.drained == 1)
    second = cellar.run(resilience_drains="sleep 255.773")
    process.terminate()
    process.wait(60)
    assert second.returncode != 0
    assert "a runbook is run on lab already" in second.stdout, second.stdout
    assert '"runbook": "cellar_wet"' in second.stdout
    assert cellar.drained == 1


def test_a_step_that_waits_for_an_approval_is_done_once_it_is_there(cellar: Cellar) -> None:
    """And a module's verdict is the outcome of its step."""
    cellar.respond = APPROVED
    step(cellar.book, "look")["task"] = {
        "module": "runbook_lint", "host": "control", "variables": {"directory": f"{cellar.folder}/books"}
    }  # fmt: skip
    step(cellar.book, "choose")["branches"][0]["test"] = "steps.look.outcome == 'failure'"
    step(cellar.book, "drain")["task"]["variables"] = {"resilience_cluster": "$CLUSTER"}
    del cellar.book["parameters"]["RACK"]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(cellar.folder / "anna")], check=True)
    public = (cellar.folder / "anna.pub").read_text()
    (cellar.folder / "approvers").write_text(f'anna namespaces="resilience-approval@fraiseql" {public}')
    asked = {"resilience_approval_mode": "ssh", "resilience_approvers": str(cellar.folder / "approvers")}
    asked |= {"resilience_folder": str(cellar.folder), "resilience_requester": "carl"}
    asked["resilience_runbook_parameters"] = {}
    first = cellar.run(**asked)
    assert first.returncode != 0
    said = " ".join(first.stdout.split())
    assert "drain: The water is drained. An approval or a confirmation is missing, and nothing was done" in said, (
        first.stdout
    )
    [request] = (cellar.folder / "approvals").glob("*.json")
    assert f"-e resilience_approval={request}" in said
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "resilience-approval@fraiseql", "-f", str(cellar.folder / "anna")]
    subprocess.run([*sign, str(request)], check=True)
    second = cellar.run(**asked, resilience_approval=str(request))
    assert second.returncode == 0, second.stdout
    assert cellar.story() == ["look failure", "choose success", "look failure again", "drain success", "dry success"]
    report = json.loads((cellar.evidence / "report.json").read_text())
    [drain] = (one for one in report["details"]["steps"] if one["step"] == "drain")
    [left] = drain["evidence"]
    assert left.endswith("-respond-lab") and (cellar.folder / "evidence" / left / "SHA256SUMS").exists()


def test_no_secret_stands_on_a_command_line_or_in_what_is_kept(cellar: Cellar) -> None:
    (cellar.folder / "vault-password").write_text("open sesame\n")
    sealed = VaultLib([("house", VaultSecret(b"open sesame"))]).encrypt("swordfish", vault_id="house").decode()
    body = "".join(f"  {line}\n" for line in sealed.splitlines())
    (cellar.folder / "vaulted.yml").write_text(f"resilience_vaulted: !vault |\n{body}")
    options = ["--vault-id", "house@vault-password", "-e", "@vaulted.yml"]
    (cellar.folder / "secret.json").write_text('{"resilience_secret": "hunter2"}')
    ended = cellar.run("run", *options, "-e", "@secret.json")
    assert ended.returncode == 0, ended.stdout
    assert (cellar.folder / "secrets").read_text() == "hunter2 swordfish"
    kept = [path for name in ("evidence", "home") for path in (cellar.folder / name).rglob("*") if path.is_file()]
    found = {path.name for path in kept if re.search(rb"hunter2|swordfish|sesame", path.read_bytes())}
    assert found == set()
    for text in (ended.stdout, ended.stderr, (cellar.folder / "commands").read_text()):
        assert not re.search(r"hunter2|swordfish|sesame", text)


#: A drill that follows the page, up to its own evidence.
DRILL = """
- hosts: localhost
  gather_facts: false
  tasks:
    - fraiseql.resilience.evidence: {state: opened, operation: drill, cluster: lab}
      register: resilience_evidence
- hosts: observer
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact: {cluster: {primary: pg-a1}, injected: [{host: pg-a1}]}
- ansible.builtin.import_playbook: books/by_hand.yml
- hosts: localhost
  gather_facts: false
  tasks:
    - fraiseql.resilience.evidence: {state: added, name: after.json, content: [1]}
    - fraiseql.resilience.evidence:
        state: sealed
        report: {checks: [{name: it_is_dry, verdict: passed, reason: looked}]}
"""


def test_by_hand_it_has_all_that_the_run_around_it_was_given_and_leaves_that_ones_evidence_open(cellar: Cellar) -> None:
    """A vaulted variable out of a file, with the password that opens it: by them the hosts are reached here."""
    inventory = yaml.safe_load((cellar.folder / "inventory.yml").read_text())
    groups = inventory["all"]["children"]
    groups["lab"]["hosts"]["pg-a1"]["ansible_connection"] = "{{ site_connection }}"
    groups["lab"]["vars"] = {"resilience_evidence_key": str(cellar.control.key)}
    groups |= {name: {"hosts": {"observer": {}}} for name in ("repositories", "gateways")}
    (cellar.folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (cellar.folder / "vault-password").write_text("open sesame\n")
    sealed = VaultLib([("house", VaultSecret(b"open sesame"))]).encrypt("local", vault_id="house").decode()
    body = "".join(f"  {line}\n" for line in sealed.splitlines())
    (cellar.folder / "vaulted.yml").write_text(f"site_connection: !vault |\n{body}")
    cellar.book["parameters"] = {"CLUSTER": "the cellar's name", "PRIMARY": "the rack that is wet"}
    dry = [{"host": "$PRIMARY", "run": f"grep -x none {cellar.folder}/water"}]
    look = step(cellar.book, "look")
    look.update(command=dry, task={"module": "member_info", "host": "$PRIMARY"})
    look["next"]["failure"] = "drain"
    look["next"]["unknown"] = "lost"
    step(cellar.book, "dry").update(command=dry)
    step(cellar.book, "drain").update(command=[{"host": "$PRIMARY", "run": f"printf none >{cellar.folder}/water"}])
    step(cellar.book, "drain")["task"] = {"playbook": "respond", "variables": {"resilience_cluster": "$CLUSTER"}}
    del step(cellar.book, "drain")["no_command"]
    cellar.book["steps"] = [one for one in cellar.book["steps"] if one["id"] not in ("choose", "shut")]
    cellar.command()
    (cellar.folder / "books" / "by_hand.yml").write_text((catalogue.RUNBOOKS / "by_hand.yml").read_text())
    (cellar.folder / "drill.yml").write_text(DRILL)
    ended = subprocess.run(
        [str(ANSIBLE), "-i", "inventory.yml", "drill.yml", "--vault-id", "house@vault-password", "-e", "@vaulted.yml",
         "-e", "resilience_cluster=lab", "-e", "resilience_scenario=cellar_wet"],
        cwd=cellar.folder, env=cellar.environment, check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert cellar.story() == ["look failure", "drain success", "dry success"]
    assert json.loads((cellar.evidence / "report.json").read_text())["verdict"] == "passed"
    [drill] = (cellar.folder / "evidence").glob("*-drill-lab*")
    assert (drill / "after.json").exists() and (drill / "SHA256SUMS.sig").exists()


def test_a_dry_run_looks_and_changes_nothing(cellar: Cellar) -> None:
    ended = cellar.run("checked", resilience_confirm="")
    assert ended.returncode == 0, ended.stdout
    said = " ".join(ended.stdout.split())
    assert "look failure: observer: water stands: rising → choose" in said
    assert "drain would be done → dry" in said
    assert "dry failure as it is now: observer: water stands: rising → done" in said
    assert "A run would come to done: The cellar is dry (passed), if all that it would change goes well." in said
    assert "It would do: drain." in said
    assert cellar.drained == 0 and not (cellar.folder / "evidence").exists()
    cellar.water("still")
    ended = cellar.run("run", "--check")
    assert "A run would stop at choose: Does it still rise? (unknown). Nothing was changed." in ended.stdout, (
        ended.stdout
    )
    assert not (cellar.folder / "evidence").exists()


def test_what_cannot_be_right_is_refused_before_anything_is_done(cellar: Cellar) -> None:
    wrong = {
        "the confirmation is for 'prod'": {"resilience_confirm": "prod"},
        "there is no runbook named 'celar'. Given: resilience_runbook=celar": {"resilience_runbook": "celar"},
    }
    for said, given in wrong.items():
        ended = cellar.run(**given)
        assert ended.returncode != 0
        assert said in " ".join(ended.stdout.split()), ended.stdout
    assert cellar.drained == 0 and not (cellar.folder / "evidence").exists()


def test_a_runbook_is_listed_and_shown_with_both_ways(cellar: Cellar) -> None:
    listed = cellar.run("listed", resilience_cluster="")
    assert "sev1  cellar_wet  The cellar is wet" in listed.stdout, listed.stdout
    shown = cellar.run("shown", resilience_cluster="").stdout
    assert f"ansible-playbook -i inventory.yml {cellar.folder}/books/cellar_wet/respond.yml" in shown, shown
    assert "by hand: # DR: cellar_wet/look" in shown and "# on $HOST" in shown
    assert "not by hand: the wheel is rusty" in shown
    assert "it rises → drain   (where steps.look.said | select" in shown

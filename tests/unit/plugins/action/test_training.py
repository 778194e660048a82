# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action training, and its playbooks run for real: nothing is told before the end, and all of it is kept after it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from sample_runbook import document

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.training import Training
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.training import Kept

ANNA = ("-e", "resilience_trainee=anna")
CLUSTER = ("-e", "resilience_cluster=lab", "-e", "resilience_confirm=lab")
#: What a verification looks at is a file's word.
DRY = {"that": "lookup('ansible.builtin.file', dry) == 'yes'", "fail_msg": "it is wet"}
VERIFY = [{"hosts": "pg-a1", "gather_facts": False, "tasks": [{"ansible.builtin.assert": DRY}]}]


@pytest.fixture
def lab(control: t.Any) -> t.Any:
    """A member that is this host, an observer that nobody can reach, and one runbook."""
    groups = {"lab": ["pg-a1", "observer"], "members": ["pg-a1"], "observers": ["observer"]}
    hosts = {
        "pg-a1": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        "observer": {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "-o ConnectTimeout=1"},
    }
    inventory = {
        "all": {
            "hosts": hosts,
            "children": {group: {"hosts": dict.fromkeys(names)} for group, names in groups.items()},
            "vars": {"resilience_evidence_key": str(control.key), "dry": str(control.folder / "dry")},
        }
    }
    (control.folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (control.folder / "dry").write_text("yes")
    folder = control.folder / "mine" / "cellar_wet"
    folder.mkdir(parents=True)
    (folder / "runbook.yml").write_text(yaml.safe_dump(document()))
    (folder / "inject.yml").write_text("- hosts: observers\n  tasks: []\n# tasks_from: fault.yml\n")
    (folder / "respond.yml").write_text("[]\n")
    (folder / "verify.yml").write_text(yaml.safe_dump(VERIFY))
    return control


def training(control: t.Any, *options: str) -> subprocess.CompletedProcess[str]:
    own = ["-e", f"resilience_runbook_directory={control.folder / 'mine'}"]
    return subprocess.run(
        [*control.command([])[:3], "fraiseql.resilience.training", *CLUSTER, *own, *options],
        cwd=control.folder, env=control.environment, check=False, capture_output=True, text=True,
    )  # fmt: skip


def said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


def under_way(control: t.Any, **changed: t.Any) -> Kept:
    kept = Kept(control.folder / "evidence", "lab", "the command")
    of = Training(
        id="1", trainee="anna", cluster="lab", scenario="cellar_wet", directory=str(control.folder / "mine"), seed="7",
        fault_seconds=3600, begun_utc=utc_now(), state="under_way", fault_utc=utc_now(),
    )  # fmt: skip
    with kept.alone():
        kept.write(dataclasses.replace(of, **changed))
        kept.log.write_text("what was done\n")
    return kept


def record(control: t.Any) -> list[dict[str, t.Any]]:
    return [json.loads(line) for line in (control.folder / "evidence/training.jsonl").read_text().splitlines()]


def folders(control: t.Any) -> list[Path]:
    return sorted((control.folder / "evidence").glob("*-training-lab"))


# begin ----------------------------------------------------------------------------------------------------------------


def test_check_mode_says_what_could_be_drawn_and_makes_nothing(lab: t.Any) -> None:
    done = training(lab, *ANNA, "--check")
    assert done.returncode == 0, done.stdout
    assert "One of 1 would be drawn: cellar_wet." in done.stdout
    assert not (lab.folder / "evidence").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "-e resilience_trainee=<name>"),
        (
            [*ANNA, "-e", "resilience_scenario=loft_dry"],
            "there is no such scenario. Given: resilience_scenario=loft_dry",
        ),
        ([*ANNA, "-e", "resilience_training_seconds=5"], "resilience_training_seconds=5. Possible: 60 or more"),
        ([*ANNA, "-e", "resilience_training_state=over"], "started, ended, given_up"),
        ([*ANNA, "-e", "resilience_confirm=orders"], "the confirmation is for 'orders'"),
    ],
)
def test_bad_input_is_refused(lab: t.Any, options: list[str], told: str) -> None:
    done = training(lab, *options)
    assert done.returncode != 0 and told in said(done), done.stdout
    assert not (lab.folder / "evidence").exists()


def test_a_cluster_that_cannot_be_looked_at_is_not_harmed(lab: t.Any) -> None:
    """The fault is made by a run of its own, which begins as every drill does."""
    done = training(lab, *ANNA)
    assert done.returncode != 0
    assert "the fault could not be made" in said(done) and "Nothing was changed" in said(done), done.stdout
    assert "observer" in said(done) and "cellar" not in done.stdout, done.stdout
    assert list((lab.folder / "evidence").iterdir()) == []


def test_a_second_training_is_refused(lab: t.Any) -> None:
    under_way(lab)
    done = training(lab, "-e", "resilience_trainee=ben")
    assert done.returncode != 0
    assert "a training is under way on lab already. Given: anna since" in said(done)
    assert "inventory.yml fraiseql.resilience.training -e resilience_cluster=lab" in said(done)
    assert "resilience_training_state=ended" in said(done) and "cellar" not in done.stdout


# end ------------------------------------------------------------------------------------------------------------------


def test_a_training_ends_with_a_record_and_sealed_evidence(lab: t.Any) -> None:
    kept = under_way(lab)
    done = training(lab, "-e", "resilience_training_state=ended")
    assert done.returncode == 0, done.stdout
    [line] = record(lab)
    assert (line["trainee"], line["scenario"], line["state"], line["verdict"]) == (
        "anna",
        "cellar_wet",
        "ended",
        "passed",
    )
    assert line["steps"]["unknown"] == ["look", "choose", "shut", "drain", "dry"] and line["steps"]["done"] == []
    [folder] = folders(lab)
    report = json.loads((folder / "report.json").read_text())
    assert (report["operation"], report["scenario"], report["verdict"]) == ("training", "cellar_wet", "passed")
    assert report["evidence"]["signed"] is True and line["evidence"] == folder.name
    assert json.loads((folder / "training.json").read_text()) == line
    assert (folder / "made.log").read_text() == "what was done\n" and (folder / "verified.log").exists()
    assert any("observer" in text for text in report["not_tested"])
    assert not kept.folder.exists()
    again = training(lab, "-e", "resilience_training_state=ended")
    assert again.returncode != 0 and "no training is under way on lab" in said(again)


def test_what_is_not_well_fails_and_is_kept_all_the_same(lab: t.Any) -> None:
    (lab.folder / "dry").write_text("no")
    under_way(lab)
    done = training(
        lab, "-e", "resilience_training_state=ended", "-e", f"resilience_training_record={lab.folder / 'team.jsonl'}"
    )
    assert done.returncode != 0 and "The verdict is failed. pg-a1: it is wet" in said(done), done.stdout
    line = json.loads((lab.folder / "team.jsonl").read_text())
    assert (line["verdict"], line["seconds"]["verified"]) == ("failed", None)


def test_who_gives_up_is_told_what_it_was(lab: t.Any) -> None:
    under_way(lab, state="making", fault_utc="")
    done = training(lab, "-e", "resilience_training_state=given_up")
    assert done.returncode == 0, done.stdout
    assert "anna met cellar_wet: failed" in done.stdout
    [line] = record(lab)
    assert (line["state"], line["fault_utc"]) == ("given_up", None)


def test_check_mode_of_the_end_tells_nothing_and_changes_nothing(lab: t.Any) -> None:
    kept = under_way(lab)
    done = training(lab, "-e", "resilience_training_state=ended", "--check")
    assert done.returncode == 0, done.stdout
    assert "cellar" not in done.stdout.replace(str(lab.folder), "")
    assert kept.needed().state == "under_way" and folders(lab) == []


def test_an_end_that_was_killed_goes_on_from_what_it_had_found(lab: t.Any) -> None:
    """Verified, and nothing yet recorded; that it is wet again is no longer asked."""
    times = {"fault_utc": "2026-11-28T10:00:00.000000Z", "ended_utc": "2026-11-28T10:10:00.000000Z"}
    under_way(lab, state="ended", outcome="success", left={"pg-a1": [], "observer": None}, **times)
    (lab.folder / "dry").write_text("no")
    done = training(lab, "-e", "resilience_training_state=ended")
    assert done.returncode == 0, done.stdout
    assert [(line["verdict"], line["seconds"]["verified"]) for line in record(lab)] == [("passed", 600.0)]

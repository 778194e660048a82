# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a training between its two runs, wherever one of them is killed."""

from __future__ import annotations

import dataclasses
import json
import stat
import typing as t
from pathlib import Path

import pytest
from evidence_folders import seal
from sample_runbook import SCHEMA, document

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    RefusedError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import signature
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import parsed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.outcome import Outcome
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.training import Training
from ansible_collections.fraiseql.resilience.plugins.plugin_utils import training
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.steps import Result

OF = Training(
    id="1", trainee="anna", cluster="lab", scenario="replay_paused", directory=str(catalogue.RUNBOOKS), seed="7",
    fault_seconds=3600, begun_utc="2026-11-28T09:59:50.000000Z",
)  # fmt: skip
STATS = {"kind": "ended", "hosts": ["observer"], "stats": {training.FAULTS: [{"host": "pg-a1", "fault": "wet"}]}}


class Ansible:
    """Runs that never take place. ``marks``: whether making the fault came as far as its mark."""

    def __init__(self, outcome: str = "success", *, marks: bool = True, said: tuple[str, ...] = ()) -> None:
        self.outcome, self.marks, self.said = outcome, marks, said
        self.ran: list[tuple[str, t.Mapping[str, t.Any]]] = []

    def play(self, playbook: str, variables: t.Mapping[str, t.Any], seconds: int, log: Path) -> Result:
        self.ran.append((playbook, variables))
        log.write_text("what was done\n")
        if playbook == training.MADE:
            bundle = Bundle.create(Path(variables["resilience_evidence_directory"]), "drill", "lab", None)
            if self.marks:
                bundle.timeline.append("mark", mark="fault", detail="water", host="observer")
        return Result(Outcome(self.outcome, self.said, False, ()), 1.0, json.dumps(STATS).encode() + b"\n")


@pytest.fixture
def kept(tmp_path: Path) -> training.Kept:
    return training.Kept(tmp_path / "evidence", "lab", "the command")


def begun(kept: training.Kept, ansible: Ansible | None = None, of: Training = OF) -> Training:
    with kept.alone():
        return training.begin(kept, of, (ansible or Ansible()).play)


def test_a_fault_is_made_and_kept_where_nobody_else_reads_it(kept: training.Kept) -> None:
    ansible = Ansible()
    of = begun(kept, ansible)
    assert (of.state, of.faults) == ("under_way", (("pg-a1", "wet"),))
    assert of.fault_utc == kept.fault_utc() != ""
    assert kept.read() == of
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept.folder, kept.folder / "training.json")] == [
        0o700,
        0o600,
    ]
    [(playbook, given)] = ansible.ran
    assert playbook == "fraiseql.resilience.trainings.made"
    assert given["lab_fault_seconds"] == 3600
    assert given["resilience_evidence_directory"] == str(kept.folder)
    assert "resilience_runbook_directory" not in given


def test_nothing_that_can_be_listed_tells_the_scenario(kept: training.Kept) -> None:
    begun(kept)
    names = [str(path.relative_to(kept.evidence)) for path in kept.evidence.rglob("*")]
    assert names and not [name for name in names if "replay" in name or "wet" in name]
    assert [path.name for path in kept.evidence.iterdir()] == [".training-lab"]


def test_a_fault_that_was_never_marked_harmed_nothing_and_leaves_nothing(kept: training.Kept) -> None:
    with pytest.raises(UnknownError, match="the cluster is not healthy") as caught:
        begun(kept, Ansible("failure", marks=False, said=("the cluster is not healthy",)))
    assert caught.value.as_result()["msg"].endswith("Nothing was changed.")
    assert not kept.folder.exists()


def test_a_fault_that_was_made_in_part_has_to_be_given_up(kept: training.Kept) -> None:
    with pytest.raises(UnknownError, match="the slots are not taken") as caught:
        begun(kept, Ansible("failure", said=("the slots are not taken",)))
    told = caught.value.as_result()
    assert told["changed"] is True and told["next_step"] == "undo it with the command=given_up"
    of = kept.needed()
    assert of.state == "making" and of.fault_utc
    with pytest.raises(RefusedError, match="never wholly made"):
        training.end(kept, of, "ended", Ansible().play)
    assert training.end(kept, of, "given_up", Ansible().play).state == "given_up"


def test_a_run_that_was_killed_while_it_made_the_fault_left_who_and_what(kept: training.Kept) -> None:
    with kept.alone():
        kept.write(OF)
    assert kept.needed() == OF
    assert kept.fault_utc() == ""


def test_the_end_is_verified_once(kept: training.Kept) -> None:
    of, ansible = begun(kept), Ansible("failure", said=("it is wet",))
    over = training.end(kept, of, "ended", ansible.play)
    assert (over.state, over.outcome, over.said) == ("ended", "failure", ("it is wet",))
    verify = str(catalogue.RUNBOOKS / "replay_paused" / "verify.yml")
    assert ansible.ran == [(verify, {"resilience_cluster": "lab"})]
    assert training.end(kept, kept.needed(), "given_up", ansible.play) == over
    assert len(ansible.ran) == 1


def test_runbooks_of_ones_own_are_found_by_both_runs(kept: training.Kept, tmp_path: Path) -> None:
    ansible, verify = Ansible(), tmp_path / "cellar_wet" / "verify.yml"
    of = begun(kept, ansible, dataclasses.replace(OF, scenario="cellar_wet", directory=str(tmp_path)))
    assert ansible.ran[0][1]["resilience_runbook_directory"] == str(tmp_path)
    with pytest.raises(InputError, match="there no longer") as caught:
        training.end(kept, of, "ended", ansible.play)
    assert caught.value.given == str(verify)
    verify.parent.mkdir()
    verify.write_text("[]")
    assert training.end(kept, kept.needed(), "ended", ansible.play).outcome == "success"
    assert ansible.ran[-1][0] == str(verify)


def test_who_gives_up_is_not_verified(kept: training.Kept) -> None:
    ansible = Ansible()
    over = training.end(kept, begun(kept), "given_up", ansible.play)
    assert (over.state, over.outcome, ansible.ran) == ("given_up", "", [])
    assert over.ended_utc


def test_two_runs_at_once_are_refused(kept: training.Kept) -> None:
    other = training.Kept(kept.evidence, "lab", "the command")
    with kept.alone(), pytest.raises(RefusedError, match="another run"), other.alone():
        pass
    with other.alone():
        pass


def test_what_cannot_be_read_is_no_training_that_could_be_forgotten(kept: training.Kept) -> None:
    with kept.alone():
        (kept.folder / "training.json").write_text('{"trainee": "anna"}')
    with pytest.raises(UnknownError, match="cannot be read") as caught:
        kept.read()
    assert caught.value.given == str(kept.folder / "training.json")


def test_no_training_is_said_with_where_it_was_looked_for(kept: training.Kept) -> None:
    with pytest.raises(RefusedError, match="no training is under way on lab") as caught:
        kept.needed()
    assert str(kept.folder) in str(caught.value.given)
    assert not kept.folder.exists()


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file")
    kept = training.Kept(tmp_path / "evidence", "lab", "")
    with pytest.raises(InputError, match="Not a directory") as caught, kept.alone():
        pass
    assert "resilience_evidence_directory=" in str(caught.value.given)


# what was done --------------------------------------------------------------------------------------------------------

BOOKS = {"cellar_wet": parsed(document(), SCHEMA, "cellar_wet")}
OVER = dataclasses.replace(
    OF, scenario="cellar_wet", fault_utc="2026-11-28T10:00:00.000000Z", ended_utc="2026-11-28T10:10:00.000000Z"
)


def evidence(
    kept: training.Kept,
    operation: str,
    utc: str,
    *,
    cluster: str = "lab",
    scenario: str | None = "cellar_wet",
    **report: t.Any,
) -> Bundle:
    kept.evidence.mkdir(exist_ok=True)
    bundle = Bundle(kept.evidence / f"{utc[11:19]}-{operation}-{cluster}")
    if report:
        seal(bundle.path, {"cluster": cluster, **report})
        (bundle.path / "SHA256SUMS").unlink()
    else:
        bundle.path.mkdir()
    bundle.timeline.append("opened", operation=operation, cluster=cluster, scenario=scenario, utc=utc)
    return bundle


def sealed(bundle: Bundle) -> None:
    (bundle.path / signature.MANIFEST).write_text(signature.manifest(bundle.path))


def test_steps_are_read_from_evidence_since_the_fault_of_this_cluster(kept: training.Kept) -> None:
    for utc, cluster in [("2026-11-28T09:00:00.000000Z", "lab"), ("2026-11-28T10:02:00.000000Z", "orders"),
                         ("2026-11-28T10:11:00.000000Z", "lab"), ("2026-11-28T10:05:00.000000Z", "lab")]:  # fmt: skip
        bundle = evidence(kept, "runbook", utc, cluster=cluster)
        done = {"step": "look", "outcome": "failure", "said": [], "to": "", "by": ""}
        bundle.timeline.append(walk.ENDED, utc=utc, **done)
    found = training.taken(kept, OVER, BOOKS)
    assert (found.first_utc, found.done) == ("2026-11-28T10:05:00.000000Z", ("look",))


def test_a_playbook_counts_where_its_evidence_is_as_it_was_sealed(kept: training.Kept) -> None:
    bundle = evidence(kept, "drain", "2026-11-28T10:04:00.000000Z", scenario=None, verdict="passed")
    assert training.taken(kept, OVER, BOOKS).done == ()
    sealed(bundle)
    assert training.taken(kept, OVER, BOOKS).done == ("drain",)
    (bundle.path / "report.json").write_text(json.dumps({"cluster": "lab", "verdict": "passed", "edited": True}))
    assert training.taken(kept, OVER, BOOKS).done == ()


def test_where_no_fault_was_made_nothing_was_done_about_it(kept: training.Kept) -> None:
    evidence(kept, "runbook", "2026-11-28T10:05:00.000000Z")
    assert training.taken(kept, dataclasses.replace(OVER, fault_utc=""), BOOKS).first_utc == ""


# the record -----------------------------------------------------------------------------------------------------------


def test_a_line_is_appended_once(tmp_path: Path) -> None:
    path = tmp_path / "team" / "training.jsonl"
    assert training.append(path, {"training": "1", "trainee": "Ännä"}) is True
    assert training.append(path, {"training": "2"}) is True
    assert training.append(path, {"training": "1", "trainee": "Ännä"}) is False
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"training": "1", "trainee": "Ännä"},
        {"training": "2"},
    ]


def test_half_a_line_of_a_killed_run_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "training.jsonl"
    path.write_text('{"training": "1"}\n{"traini')
    assert training.append(path, {"training": "2"}) is True
    assert path.read_text() == '{"training": "1"}\n{"traini\n{"training": "2"}\n'


def test_a_record_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory") as caught:
        training.append(tmp_path, {"training": "1"})
    assert caught.value.given == f"resilience_training_record={tmp_path}"

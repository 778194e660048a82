# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk without any run of Ansible: how it goes on is told by whoever does the steps."""

from __future__ import annotations

import typing as t
from datetime import timedelta
from pathlib import Path

import pytest
from sample_runbook import SCHEMA, Record, document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import parsed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.outcome import Outcome
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import record, run
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.steps import Prepared, Result

RISES = "steps.look.said | select('search', 'rises') | list | length > 0"


class Killed(Exception):
    """The run is gone, as by kill -9."""


class Doing:
    """By step, its outcomes one after the other: ``failure: it rises``, ``asks``, ``missing`` or ``killed``."""

    def __init__(self, **outcomes: t.Sequence[str]) -> None:
        self.outcomes = {name: list(told) for name, told in outcomes.items()}
        self.done: list[str] = []

    def prepared(self, now: walk.Standing) -> Prepared:
        if self.outcomes.get(now.where, [""])[0] == "missing":
            raise InputError("nobody said what $RACK is")
        return Prepared(now.where, {}, False, now.step.seconds, False)

    def run(self, prepared: Prepared) -> Result:
        where = str(prepared.playbook)
        self.done.append(where)
        word, _colon, said = self.outcomes.get(where, ["success"]).pop(0).partition(": ")
        if word == "killed":
            raise Killed
        asks = word == "asks"
        found = Outcome("failure" if asks else word, (said,) if said else (), asks, ())
        return Result(found, 1.5, b'{"kind": "begun"}\n')


class House:
    def __init__(self, folder: Path) -> None:
        self.book = document()
        step(self.book, "choose")["branches"][0]["test"] = RISES
        self.bundle = Bundle.create(folder, record.OPERATION, "lab", "cellar_wet")
        self.shown: list[str] = []

    def plan(self, **answers: str) -> run.Plan:
        return run.Plan({"cellar_wet": parsed(self.book, SCHEMA, "cellar_wet")}, "cellar_wet", answers, "anna")

    def show(self, mark: str, detail: str, _colour: str | None) -> None:
        self.shown.append(f"{mark} {detail}")

    def on(self, doing: Doing, **answers: str) -> walk.Standing | run.Asked:
        self.shown.clear()
        kept = record.Record(self.bundle, went_on=True)
        return run.Run(self.plan(**answers), kept, doing, self.show).on()

    def done(self) -> list[str]:
        return [f"{one.where} {one.outcome}" for one in walk.history(self.bundle.events()).done]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def end(came: walk.Standing | run.Asked) -> tuple[str, str]:
    assert isinstance(came, walk.Standing)
    return came.where, came.verdict


def test_a_test_that_holds_decides_and_a_persons_answer_goes_before_it(house: House, tmp_path: Path) -> None:
    assert end(house.on(Doing(look=["failure: it rises"]))) == ("done", "passed")
    assert house.done() == ["look failure", "choose success", "drain success", "dry success"]
    other = House(tmp_path)
    assert end(other.on(Doing(look=["failure: it rises"]), choose="unknown")) == ("lost", "failed")
    assert "choose unknown, says anna → lost" in other.shown


def test_a_test_that_nobody_can_answer_does_not_hold(house: House) -> None:
    step(house.book, "choose")["branches"][0]["test"] = "steps.attic.outcome == ''"
    came = house.on(Doing(look=["failure: it rises"]))
    assert isinstance(came, run.Asked) and came.key == "choose"


def test_what_a_person_is_asked_says_how_it_is_answered(house: House) -> None:
    came = house.on(Doing(look=["failure: it stands"]))
    assert str(came) == (
        "choose: Does it still rise? Somebody has to say. Possible: 1 – it rises: drain comes next; 2 – it stands: "
        "shut comes next; unknown – nobody can say: lost comes next. The same command with "
        """-e '{"resilience_runbook_answers": {"choose": "1"}}'"""
    )


def test_a_missing_parameter_stops_at_its_step_and_it_goes_on_there(house: House) -> None:
    came = house.on(Doing(look=["failure: it rises"], drain=["missing"]))
    assert isinstance(came, run.Asked) and not came.key
    assert str(came).startswith("drain: The water is drained. nobody said what $RACK is.")
    doing = Doing(look=["failure: it rises"])
    assert end(house.on(doing)) == ("done", "passed")
    assert doing.done == ["look", "drain", "dry"]


def test_a_step_that_was_not_let_is_done_again_after_what_was_checked_before_it(house: House) -> None:
    came = house.on(Doing(look=["failure: it rises"], drain=["asks: sign this"]))
    assert isinstance(came, run.Asked) and "sign this" in str(came) and not came.key
    assert house.done() == ["look failure", "choose success"]
    doing = Doing(look=["success"])
    # While somebody was asked, the water went away.
    assert end(house.on(doing)) == ("done", "passed")
    assert doing.done == ["look", "dry"]


@pytest.mark.parametrize(
    ("killed", "again"),
    [("look", ["look", "drain", "dry"]), ("drain", ["drain", "dry"]), ("dry", ["dry"])],
)
def test_whatever_step_it_was_killed_in_it_goes_on_from_there(house: House, killed: str, again: list[str]) -> None:
    told: dict[str, list[str]] = {"look": ["failure: it rises"]}
    told[killed] = ["killed"]
    with pytest.raises(Killed):
        house.on(Doing(**told))
    doing = Doing(look=["failure: it rises"])
    assert end(house.on(doing)) == ("done", "passed")
    assert doing.done == again
    assert house.done() == ["look failure", "choose success", "drain success", "dry success"]
    assert any("had begun and not ended" in line for line in house.shown)


def test_a_decision_by_a_test_is_made_again_by_what_was_found_since(house: House) -> None:
    house.on(Doing(look=["failure: it rises"], drain=["asks"]))
    came = house.on(Doing(look=["failure: it stands"]), choose="1")
    # The outcome is the same, and says something else: an answer from before does not count.
    assert isinstance(came, run.Asked) and came.where == "choose"
    assert "choose what was found since says otherwise: decided again" in house.shown
    assert end(house.on(Doing(look=["failure: it stands"]), choose="1")) == ("done", "passed")


def test_a_persons_decision_stays_while_what_it_was_made_by_does(house: House) -> None:
    house.on(Doing(look=["failure: it stands"]), choose="2")
    came = house.on(Doing(look=["failure: it rises"]), choose="2", shut="done")
    assert end(came) == ("done", "passed")
    assert "choose" not in " ".join(line for line in house.shown if "decided again" in line)


def test_after_a_change_an_old_answer_is_no_answer(house: House) -> None:
    house.on(Doing(look=["failure: it stands"]), choose="2")
    doing = Doing(look=["unknown: dark"])
    came = house.on(doing, choose="2", shut="done")
    assert isinstance(came, run.Asked) and came.key == "choose:2"
    assert "look unknown, and was failure: it goes on from here" in house.shown
    came = house.on(Doing(look=["unknown: dark"]), **{"choose": "2", "choose:2": "1"})
    assert end(came) == ("done", "passed")


def test_an_end_that_was_not_sealed_is_looked_at_again(house: House) -> None:
    house.on(Doing(look=["failure: it rises"]))
    doing = Doing(dry=["failure: wet again"])
    assert end(house.on(doing)) == ("lost", "failed")
    assert doing.done == ["dry"]


def test_what_each_step_told_is_kept(house: House) -> None:
    house.on(Doing(look=["failure: it rises"]))
    assert sorted(path.name for path in (house.bundle.path / "steps").iterdir()) == [
        "01-look.jsonl", "02-drain.jsonl", "03-dry.jsonl",
    ]  # fmt: skip


# dry runs -------------------------------------------------------------------------------------------------------------


def tried(house: House, doing: Doing, **answers: str) -> tuple[run.DryRun, walk.Standing]:
    house.shown.clear()
    trial = run.DryRun(house.plan(**answers), doing, house.show)
    return trial, trial.on()


def test_a_dry_run_looks_decides_and_supposes(house: House) -> None:
    doing = Doing(look=["failure: it rises"], dry=["failure: wet"])
    trial, now = tried(house, doing)
    assert doing.done == ["look", "dry"]
    assert (now.where, now.verdict, trial.supposed) == ("done", "passed", True)
    assert [(one["step"], one["words"], one["supposed"]) for one in trial.way] == [
        ("look", "failure", False), ("choose", "by its test", False), ("drain", "would be done", True),
        ("dry", "failure as it is now", True),
    ]  # fmt: skip


def test_a_dry_run_stops_where_nobody_knows_what_comes_next(house: House) -> None:
    trial, now = tried(house, Doing(look=["failure: it stands"]))
    assert (now.where, now.verdict) == ("choose", "")
    assert [one.key for one in trial.stops] == ["choose"]


def test_a_dry_run_goes_past_what_a_person_would_do_by_hand(house: House) -> None:
    trial, now = tried(house, Doing(look=["failure: it stands"], drain=["missing"]), choose="2")
    assert (now.where, now.verdict) == ("done", "passed")
    assert [one.where for one in trial.stops] == ["shut"]
    assert trial.way[3]["words"] == "would stop: one of its parameters is missing"


def test_a_plan_is_a_look(house: House) -> None:
    step(house.book, "drain")["task"]["check"] = True
    doing = Doing(look=["failure: it rises"], drain=["failure"])
    trial, now = tried(house, doing)
    assert doing.done == ["look", "drain"] and (now.where, trial.supposed) == ("lost", False)


# what an earlier run has left -----------------------------------------------------------------------------------------


def test_only_the_newest_that_came_to_no_end_is_gone_on_from(tmp_path: Path) -> None:
    assert record.left(tmp_path, "lab", "cellar_wet") is None
    old = Bundle.create(tmp_path, record.OPERATION, "lab", "cellar_wet")
    Bundle.create(tmp_path, record.OPERATION, "lab", "attic_wet")
    Bundle.create(tmp_path, record.OPERATION, "lab-2", "cellar_wet")
    (tmp_path / "20990101T000000Z-runbook-lab").mkdir()
    found = record.left(tmp_path, "lab", "cellar_wet")
    assert found is not None and found.path == old.path
    new = Bundle.create(tmp_path, record.OPERATION, "lab", "cellar_wet")
    new.seal({}, None, t.cast("t.Any", None))
    assert record.left(tmp_path, "lab", "cellar_wet") is None


def begun(folder: Path) -> Bundle:
    bundle = Bundle.create(folder, record.OPERATION, "lab", "cellar_wet")
    bundle.timeline.append(walk.RUN, digest="d", parameters={"CLUSTER": "lab", "RACK": "R7"}, person="anna")
    bundle.timeline.append(walk.BEGUN, step="look")
    return bundle


def test_why_a_run_begins_anew(tmp_path: Path) -> None:
    bundle, now = begun(tmp_path), record.now()
    assert record.why_not(bundle, "d", {"CLUSTER": "lab", "RACK": "R7", "HOST": "pg-a1"}, now) == ""
    assert record.why_not(bundle, "d", {"CLUSTER": "lab", "RACK": "R8"}, now) == "RACK was another one then"
    assert record.why_not(bundle, "e", {}, now) == "the runbook is another one since"
    late = now + timedelta(hours=25)
    assert record.why_not(bundle, "d", {}, late) == "it was stopped more than 24 hours ago"
    with bundle.timeline.path.open("a") as file:
        file.write('{"kind": "to')
    assert record.why_not(bundle, "d", {}, now) == ""
    bundle.timeline.append("noted")
    assert record.why_not(bundle, "d", {}, now) == ""
    bundle.timeline.path.write_text(bundle.timeline.path.read_text().replace("anna", "carl"))
    assert record.why_not(bundle, "d", {}, now) == "its timeline is not as it was written"


def test_a_second_run_is_told_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "LOCK_PATIENCE_SECONDS", 0.0)
    with record.only_run(tmp_path, "lab", {"runbook": "cellar_wet"}):
        with record.only_run(tmp_path, "lab-2", {}):
            pass
        with pytest.raises(RefusedError) as refused, record.only_run(tmp_path, "lab", {}):
            pass
        assert '"runbook": "cellar_wet"' in str(refused.value.given)
    with record.only_run(tmp_path, "lab", {}):
        pass


def test_a_digest_follows_what_a_runbook_says() -> None:
    one: Record = {"cellar_wet": document()}
    assert record.digest(one) == record.digest({"cellar_wet": document()})
    assert record.digest(one) != record.digest({"cellar_wet": document(title="The cellar is dry")})

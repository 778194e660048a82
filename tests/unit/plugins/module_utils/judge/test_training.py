# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who meets what, which steps are known to be done, and what a training proves."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest
from sample_runbook import SCHEMA, document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import training as judge
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import document as runbooks
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.training import Operation, Steps, Training

OF = Training(
    id="1", trainee="anna", cluster="lab", scenario="cellar_wet", directory="/runbooks", seed="7", fault_seconds=3600,
    begun_utc="2026-11-28T09:59:50.000000Z", state="ended", fault_utc="2026-11-28T10:00:00.000000Z",
    faults=(("pg-a1", "wet"), ("pg-a2", "wet")), ended_utc="2026-11-28T10:10:00.500000Z", outcome="success",
    left={"pg-a1": ["wet"], "pg-a2": ["wet"]},
)  # fmt: skip
NOTHING = Steps("", (), (), ())


def of(**changed: t.Any) -> Training:
    return dataclasses.replace(OF, **changed)


def said(error: InputError | RefusedError) -> str:
    return str(error.as_result()["msg"])


# who meets what -------------------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_scenario_in_whatever_order_they_come() -> None:
    names = [f"scenario_{number}" for number in range(24)]
    assert judge.drawn(names, {}, None, "7") == judge.drawn(names[::-1], {}, None, "7")
    assert len({judge.drawn(names, {}, None, str(seed)) for seed in range(400)}) == 24


def test_a_scenario_that_is_named_is_taken() -> None:
    assert judge.drawn(["a", "b"], {}, "b", "7") == "b"


@pytest.mark.parametrize(
    ("possible", "named", "expected"),
    [
        (["a"], "c", "nobody can be trained with c: its folder is empty. Given: resilience_scenario=c. Possible: a."),
        (["a"], "d", "there is no such scenario. Given: resilience_scenario=d. Possible: a."),
        ([], None, "there is no scenario that somebody could be trained with. Possible: not c: its folder is empty."),
        ([], "d", "there is no such scenario. Given: resilience_scenario=d. Possible: none."),
    ],
)  # fmt: skip
def test_what_nobody_can_be_trained_with_is_refused(possible: list[str], named: str | None, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        judge.drawn(possible, {"c": "its folder is empty"}, named, "7")
    assert said(caught.value).startswith(expected)


@pytest.mark.parametrize("name", [None, "", "  ", "two\nlines", "x" * 81])
def test_somebody_has_to_be_named(name: str | None) -> None:
    with pytest.raises(InputError) as caught:
        judge.trainee(name)
    assert "-e resilience_trainee=<name>" in said(caught.value)
    assert judge.trainee(" Anna Müller ") == "Anna Müller"


def test_a_second_training_is_refused_by_who_since_when_and_how_it_is_ended() -> None:
    with pytest.raises(RefusedError) as caught:
        judge.refuse_second(of(state="under_way"), "the command -e resilience_training_state")
    text = said(caught.value)
    assert "anna since 2026-11-28 10:00:00 UTC" in text
    assert "resilience_training_state=ended" in text and "resilience_training_state=given_up" in text
    assert "cellar" not in text


def test_a_fault_that_was_never_wholly_made_can_only_be_given_up() -> None:
    with pytest.raises(RefusedError) as caught:
        judge.refuse_unmade(of(state="making", fault_utc=""), "the command")
    assert "the command=given_up" in said(caught.value)
    judge.refuse_unmade(of(state="under_way"), "the command")


def test_the_briefing_says_what_to_do_and_not_what_it_is() -> None:
    lines = judge.briefing(OF, "ansible-playbook -i x training -e resilience_training_state", "-i x")
    text = "\n".join(lines)
    assert "fraiseql.resilience.detect -e resilience_cluster=lab" in text
    assert "docs/runbooks/README.md" in text and "3600 s" in text and "resilience_training_state=ended" in text
    assert "cellar" not in text and "wet" not in text


def test_what_is_kept_is_read_again() -> None:
    assert Training.read(json.loads(json.dumps(OF.as_dict()))) == OF
    with pytest.raises(TypeError):
        Training.read({"trainee": "anna"})


# what was done --------------------------------------------------------------------------------------------------------


def books(**changed: t.Any) -> dict[str, runbooks.Runbook]:
    return {"cellar_wet": runbooks.parsed(document(**changed), SCHEMA, "cellar_wet")}


def run(*ended: tuple[str, str, str], minute: int = 1) -> list[dict[str, t.Any]]:
    """The events of a run: of each step its name, its outcome, and where a decision led."""
    events: list[dict[str, t.Any]] = []
    for number, (name, outcome, to) in enumerate(ended):
        stamp = f"2026-11-28T10:{minute + number:02}:00.000000Z"
        events += [
            {"kind": walk.BEGUN, "utc": stamp, "step": name},
            {"kind": walk.ENDED, "utc": stamp, "step": name, "outcome": outcome, "said": [], "to": to, "by": ""},
        ]
    return events


LOOK, CHOOSE = ("look", "failure", ""), ("choose", "success", "drain")
DRAIN, DRY = ("drain", "success", ""), ("dry", "success", "")


def test_a_run_to_its_end_did_its_way_and_missed_nothing() -> None:
    found = judge.steps(books(), "cellar_wet", [run(LOOK, CHOOSE, DRAIN, DRY)], [])
    assert found == Steps("2026-11-28T10:01:00.000000Z", ("look", "choose", "drain", "dry"), (), ())


def test_a_run_that_stopped_missed_what_success_would_have_led_to() -> None:
    found = judge.steps(books(), "cellar_wet", [run(LOOK, CHOOSE)], [])
    assert (found.done, found.missed, found.unknown) == (("look", "choose"), ("drain", "dry"), ())
    found = judge.steps(books(), "cellar_wet", [run(LOOK)], [])
    assert (found.done, found.missed) == (("look",), ("choose",))


def test_of_two_runs_both_did_something_and_the_newer_one_says_what_was_missed() -> None:
    runs = [run(LOOK, minute=5), run(LOOK, CHOOSE, DRAIN, minute=20)]
    found = judge.steps(books(), "cellar_wet", runs, [])
    assert found == Steps("2026-11-28T10:05:00.000000Z", ("look", "choose", "drain"), ("dry",), ())


def test_a_step_that_had_begun_is_when_it_began_and_is_not_done() -> None:
    found = judge.steps(books(), "cellar_wet", [run(LOOK)[:1]], [])
    assert (found.first_utc, found.done) == ("2026-11-28T10:01:00.000000Z", ())


def test_without_evidence_every_step_may_have_been_done_by_hand() -> None:
    found = judge.steps(books(), "cellar_wet", [], [])
    assert found == Steps("", (), (), ("look", "choose", "shut", "drain", "dry"))


def test_a_record_of_another_runbook_tells_nothing() -> None:
    assert judge.steps(books(), "cellar_wet", [run(("elsewhere", "success", ""))], []).done == ()


@pytest.mark.parametrize(("verdict", "done"), [("passed", ("drain",)), ("failed", ()), ("", ())])
def test_a_playbook_that_was_run_by_itself_did_its_step_if_it_passed(verdict: str, done: tuple[str, ...]) -> None:
    by = [Operation("drain", "", "2026-11-28T10:03:00.000000Z", verdict)]
    found = judge.steps(books(), "cellar_wet", [], by)
    assert (found.done, found.first_utc) == (done, "2026-11-28T10:03:00.000000Z")
    assert ("drain" in found.unknown) is not bool(done)


@pytest.mark.parametrize(
    ("name", "scenario", "done"),
    [("respond", "cellar_wet", ("drain",)), ("respond", "loft_dry", ()), ("verify", "cellar_wet", ())],
)
def test_respond_is_the_runbooks_own_and_verify_leaves_no_evidence(
    name: str, scenario: str, done: tuple[str, ...]
) -> None:
    given = document()
    step(given, "drain")["task"]["playbook"] = name
    own = {"cellar_wet": runbooks.parsed(given, SCHEMA, "cellar_wet")}
    by = [Operation(name, scenario, "2026-11-28T10:03:00.000000Z", "passed")]
    assert judge.steps(own, "cellar_wet", [], by).done == done


def test_other_runbooks_that_were_run_are_told() -> None:
    by = [Operation("runbook", name, "2026-11-28T10:03:00.000000Z", "") for name in ("loft_dry", "cellar_wet")]
    assert judge.steps(books(), "cellar_wet", [], by).others == ("loft_dry",)


# what came of it ------------------------------------------------------------------------------------------------------


def record(training: Training, steps: Steps = NOTHING) -> dict[str, t.Any]:
    return judge.record(training, steps, "20261128T101001Z-training-lab")


def test_a_training_that_is_verified_while_the_fault_lasts_passes() -> None:
    line = record(OF, Steps("2026-11-28T10:01:30.000000Z", ("look",), ("dry",), ()))
    assert (line["verdict"], line["fault_ended_by_itself"], line["state"]) == ("passed", False, "ended")
    assert line["seconds"] == {"first_step": 90.0, "verified": 600.5}
    assert line["steps"] == {"done": ["look"], "missed": ["dry"], "unknown": []}
    assert (line["drawn"], line["clock"]) == ("by seed 7", "UTC of the control node")
    assert json.loads(json.dumps(line)) == line


@pytest.mark.parametrize(("outcome", "verdict"), [("failure", "failed"), ("unknown", "unknown")])
def test_what_is_not_verified_did_not_pass(outcome: str, verdict: str) -> None:
    line = record(of(outcome=outcome, said=("pg-a2 does not replay",)))
    assert (line["verdict"], line["seconds"]["verified"]) == (verdict, None)
    assert line["checks"][0]["reason"] == "pg-a2 does not replay"


def test_a_training_that_is_given_up_failed() -> None:
    line = record(of(state="given_up", outcome=""))
    assert (line["verdict"], line["checks"][0]["reason"]) == ("failed", "given up after 600 s")
    line = record(of(state="given_up", outcome="", fault_utc="", faults=(), seed=""))
    assert (line["fault_utc"], line["drawn"], line["checks"][0]["reason"]) == (
        None,
        "by name",
        "given up after an unknown time",
    )


LATE = "2026-11-28T11:00:01.000000Z"
BOTH, ONE, NO_HOST = (
    {"pg-a1": ["wet"], "pg-a2": ["wet"]},
    {"pg-a1": ["wet"], "pg-a2": []},
    {"pg-a1": ["wet"], "pg-a2": None},
)


@pytest.mark.parametrize(
    ("ended_utc", "left", "by_itself", "verdict"),
    [
        (OF.ended_utc, BOTH, False, "passed"),
        (OF.ended_utc, ONE, False, "passed"),  # its host was made anew
        (OF.ended_utc, NO_HOST, False, "passed"),
        (LATE, BOTH, False, "passed"),
        (LATE, ONE, True, "unknown"),
        (LATE, NO_HOST, None, "unknown"),
        ("2026-11-28T09:00:00.000000Z", BOTH, False, "passed"),
        ("2026-11-28T09:00:00.000000Z", ONE, None, "unknown"),
    ],
)
def test_a_fault_that_ended_by_itself_proves_nothing(
    ended_utc: str, left: judge.Left, by_itself: bool | None, verdict: str
) -> None:
    line = record(of(ended_utc=ended_utc, left=left))
    assert (line["fault_ended_by_itself"], line["verdict"]) == (by_itself, verdict)


def test_where_nobody_knows_which_faults_there_were_time_tells() -> None:
    assert judge.ended_by_itself(of(faults=())) is False
    assert judge.ended_by_itself(of(faults=(), ended_utc=LATE)) is None


def test_a_clock_that_was_set_back_makes_durations_unknown() -> None:
    line = record(of(ended_utc="2026-11-28T09:00:00.000000Z"), Steps("2026-11-28T09:30:00.000000Z", (), (), ()))
    assert line["seconds"] == {"first_step": None, "verified": None}


def test_the_debriefing_tells_all_of_it() -> None:
    taken = Steps("2026-11-28T10:01:30.000000Z", ("look",), (), ("dry",), ("loft_dry",))
    text = "\n".join(judge.debriefing(record(OF, taken)))
    told = ("met cellar_wet: passed", "after 90 s, verified after 600 s", "done: look; missed: none", "unknown: dry")
    assert [part for part in (*told, "other scenarios that were run: loft_dry") if part not in text] == []
    assert "after an unknown time, verified" in "\n".join(judge.debriefing(record(OF)))

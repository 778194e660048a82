# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault is found by the rule that is for it, and by no other."""

from __future__ import annotations

import copy
import typing as t
from collections.abc import Callable
from dataclasses import replace

import pytest
from sample_runbook import KNOWN, SCHEMA, TODAY, Record, document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Finding
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.known import NOTHING, Beside, Known
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.lint import RULES, Source, lint
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import expressions

Fault = Callable[[Record], t.Any]


def linted(*documents: Record, known: Known = KNOWN, folder: str = "", beside: Beside = NOTHING) -> list[Finding]:
    tests = [branch["test"] for one in documents for step in one["steps"] for branch in step.get("branches", ())
             if "test" in branch]  # fmt: skip
    known = replace(known, expressions={text: expressions.read(text) for text in tests})
    return lint([Source(folder or one["id"], one, beside) for one in documents], SCHEMA, known, TODAY)


def edge(name: str, **to: str) -> Fault:
    return lambda book: step(book, name)["next"].update(to)


def field(name: str, **given: t.Any) -> Fault:
    return lambda book: step(book, name).update(given)


def without(name: str, *keys: str) -> Fault:
    return lambda book: [step(book, name).pop(key) for key in keys]


def sign(**given: t.Any) -> Fault:
    return lambda book: book["detection"].update(signs=[given])


def decided_by(test: str) -> Fault:
    return lambda book: step(book, "choose")["branches"][0].update(test=test)


def drilled(book: Record) -> None:
    book["drill"] = {"outage": False, "failures": False, "not_tested": ["a flood"]}


def typed(name: str, run: str) -> Fault:
    return field(name, command=[{"host": "$HOST", "run": run}])


def ring(book: Record) -> None:
    step(book, "dry")["next"]["failure"] = "look"


def trap(book: Record) -> None:
    """Two steps that lead to one another alone; whoever is there has visits left."""
    there = {"type": "manual", "title": "t", "text": "t", "phase": "recovery", "seconds": 1, "destructive": "none"}
    for name, other in (("here", "there"), ("there", "here")):
        book["steps"].append(
            {"id": name, **there, "attempts": 2, "next": dict.fromkeys(("success", "failure", "unknown"), other)}
        )
    step(book, "choose")["next"]["unknown"] = "here"


def stray(book: Record) -> None:
    book["steps"].append({"id": "stray", "type": "end", "title": "Nobody comes here", "verdict": "unknown"})


def again(book: Record) -> None:
    book["steps"].append(copy.deepcopy(step(book, "lost")))


def loss(book: Record) -> None:
    step(book, "drain")["destructive"] = "data_loss"


def given(name: str, **variables: str) -> Fault:
    return lambda book: step(book, name)["task"]["variables"].update(variables)


def asked(promql: str) -> Fault:
    return lambda book: book["detection"]["queries"][0].update(promql=promql)


def late(book: Record) -> None:
    """What the destructive step itself finds comes too late."""
    step(book, "drain")["evidence"] = step(book, "look").pop("evidence")


def another(name: str) -> Fault:
    """The step done by hand becomes another runbook."""

    def made(book: Record) -> None:
        by_hand = step(book, "shut")
        for key in ("text", "destructive"):
            del by_hand[key]
        by_hand.update(type="runbook", runbook=name)

    return made


FAULTS: list[tuple[str, str, Fault]] = [
    ("step_not_unique", "step lost", again),
    ("edge_missing", "step dry", lambda book: step(book, "dry")["next"].pop("unknown")),
    ("edge_missing", "step choose", lambda book: step(book, "choose")["next"].pop("unknown")),
    ("edge_missing", "step choose", edge("choose", success="lost")),
    ("edge_dangling", "step drain", edge("drain", unknown="nowhere")),
    ("step_unreachable", "step stray", stray),
    ("end_unreachable", "step here", trap),
    ("cycle_unbounded", "step look", ring),
    ("decision_without_choice", "step choose", lambda book: step(book, "choose")["branches"].pop(0)),
    ("phase_over_budget", "phases.aftercare", lambda book: step(book, "look").update(phase="aftercare", seconds=901)),
    ("path_over_objective", "objectives.rto_seconds", lambda book: book["objectives"].update(rto_seconds=599)),
    ("review_overdue", "reviewed", lambda book: book.update(reviewed="2026-08-27")),
    ("review_overdue", "reviewed", lambda book: book.update(reviewed="2026-11-27")),
    ("review_overdue", "reviewed", lambda book: book.update(reviewed="2026-02-30")),
    ("check_not_read_only", "step look", typed("look", "systemctl restart pump@a.service")),
    ("check_not_read_only", "step look", field("look", task={"module": "valve", "host": "$HOST"})),
    ("check_not_read_only", "step dry", field("dry", task={"playbook": "refill"})),
    ("command_unreadable", "step look", typed("look", "grep 'water /var/log/syslog")),
    ("way_missing", "step dry", without("dry", "task")),
    ("way_missing", "step drain", without("drain", "no_command")),
    ("danger_understated", "step drain", field("drain", destructive="none")),
    ("approval_missing", "step drain", without("drain", "approvals")),
    ("approvals_too_few", "step drain", loss),
    # The playbook itself wants two people then.
    ("approvals_too_few", "step drain", given("drain", resilience_accept_loss="the cellar is full")),
    ("rollback_missing", "step drain", without("drain", "rollback")),
    ("rollback_missing", "step drain", field("drain", irreversible="and cannot")),
    ("evidence_missing", "step drain", without("look", "evidence")),
    ("evidence_missing", "step drain", late),
    ("verification_missing", "step drain", edge("drain", success="done")),
    ("verification_missing", "step dry", edge("dry", unknown="done")),
    ("verification_missing", "verification", lambda book: book.update(verification=["dry", "drain"])),
    ("communication_missing", "phases.recovery", lambda book: book["phases"]["recovery"].pop("communication")),
    ("communication_missing", "phases.recovery", lambda book: book["phases"].pop("recovery")),
    ("alert_unknown", "detection.alerts", lambda book: book["detection"]["alerts"].append("CellarDry")),
    ("metric_unknown", "detection.queries", asked("rate(wine[5m])")),
    ("component_unknown", "detection.components", lambda book: book["detection"]["components"].append("tap")),
    ("sign_unclear", "detection.signs.0", sign(component="pump", hazard="flooded", **{"is": ["fail"]})),
    ("sign_unclear", "detection.signs.0", sign(weight=3)),
    ("sign_unclear", "detection.signs.0", sign(component="pump", at="gateway")),
    ("sign_unclear", "detection.signs.0", sign(hazard="flooded", at="primary")),
    ("sign_unclear", "detection.signs.0", sign(any=[{"hazard": "flooded"}], hosts="all")),
    ("sign_unclear", "detection.signs.0.any.0", sign(any=[{"hazard": "flooded", "weight": 2}])),
    ("sign_unknown", "detection.signs.0", sign(hazard="dry")),
    ("sign_unknown", "detection.signs.0", sign(component="tap", **{"is": ["fail"]})),
    ("sign_unknown", "detection.signs.0.any.1", sign(any=[{"hazard": "flooded"}, {"hazard": "dry"}])),
    ("sign_impossible", "detection.signs.0", sign(component="pump", **{"is": ["gone"]})),
    ("sign_impossible", "detection.signs.0", sign(component="agent", **{"is": ["fail"]})),
    ("sign_impossible", "detection.signs.0", sign(component="power", **{"is": ["unknown"]})),
    ("sign_unreadable", "detection.signs.0", sign(hazard="flooded", says="water (deep")),
    ("schema", "detection.signs.0.at", sign(component="pump", at="cellar", **{"is": ["fail"]})),
    ("schema", "detection.signs.0.weight", sign(hazard="flooded", weight=11)),
    ("test_unreadable", "step choose", decided_by("steps.look.outcome ==")),
    ("test_unreadable", "step choose", decided_by("look.outcome == 'failure'")),
    ("test_unreadable", "step choose", decided_by("steps.look.verdict == 'failed'")),
    ("test_unreadable", "step choose", decided_by("steps.look.outcome == 'failed'")),
    ("test_of_no_step", "step choose", decided_by("steps.lok.outcome == 'failure'")),
    ("folder_incomplete", "drill", drilled),
    ("task_unknown", "step drain", lambda book: step(book, "drain")["task"].update(playbook="respond")),
    ("task_unknown", "step drain", lambda book: step(book, "drain")["task"].update(playbook="drian")),
    ("task_unknown", "step look", lambda book: step(book, "look")["task"].update(module="levels")),
    ("task_unknown", "step drain", lambda book: step(book, "drain")["task"].update(module="valve")),
    ("variable_unknown", "step drain", given("drain", resilience_force="1")),
    ("variable_unknown", "step look", given("look", shelf="1")),
    ("variable_unknown", "step shut", field("shut", text="Write resilience_wheel first.")),
    ("task_unknown", "step drain", field("drain", rollback="The playbook fill does it.")),
    ("unit_unknown", "step look", typed("look", "systemctl status tap.service")),
    ("unit_unknown", "step shut", field("shut", text="Stop tap@hot.timer.")),
    ("runbook_unknown", "step shut", another("flood")),
    ("link_broken", "references", lambda book: book["references"].append("docs/attic.md")),
    ("parameter_undeclared", "step look", typed("look", "ls $SHELF")),
    ("parameter_undeclared", "step drain", given("drain", resilience_confirm="$C")),
    ("parameter_unread", "parameters.RACK", lambda book: book["parameters"].update(RACK="a shelf")),
    ("placeholder_left", "owner", lambda book: book.update(owner="TODO")),
    ("placeholder_left", "step shut", field("shut", text="Turn <which> wheel.")),
    ("placeholder_left", "questions", lambda book: book["questions"].append("why xxx?")),
    ("placeholder_left", "contacts", lambda book: book["contacts"][0].update(role="FIXME a name")),
    ("schema", "review_days", lambda book: book.update(review_days="soon")),
    ("schema", "severity.reason", lambda book: book["severity"].update(reason="wet")),
    ("field_missing", "step drain", without("drain", "seconds")),
    ("field_out_of_place", "step done", field("done", next={"success": "look"})),
    ("id_is_not_folder", "id", lambda book: book.update(id="cellar_dry")),
]  # fmt: skip


def test_a_runbook_without_fault_has_no_finding() -> None:
    assert linted(document()) == []


@pytest.mark.parametrize(("code", "where", "fault"), FAULTS, ids=[f"{code}-{where}" for code, where, _fault in FAULTS])
def test_a_fault_is_found_by_its_rule_and_by_no_other(code: str, where: str, fault: Fault) -> None:
    book = document()
    fault(book)
    found = linted(book, folder="cellar_wet")
    assert {one.code for one in found} == {code}, found
    assert where in [one.where for one in found]
    assert all(one.wrong and one.right and one.runbook == "cellar_wet" for one in found)


def test_each_rule_was_shown_a_fault() -> None:
    shown = {code for code, _where, _fault in FAULTS}
    assert set(RULES) - shown == set()
    assert len(shown) >= 20


@pytest.mark.parametrize(
    "given",
    [
        {
            "component": "pump",
            "is": ["warn", "fail", "unknown"],
            "at": "primary",
            "says": "wet|deep",
            "hosts": "several",
        },
        {"component": "agent", "is": ["gone"], "weight": 10},
        {"component": "host", "is": ["pass", "gone"], "at": "repository", "hosts": "all"},
        {"component": "power", "is": ["pass", "fail"]},
        {"hazard": "flooded", "says": "rack 2", "hosts": "several"},
        {"any": [{"hazard": "flooded"}, {"component": "pump", "is": ["fail"]}], "weight": 5},
    ],
)
def test_a_sign_that_may_be_seen_has_no_finding(given: Record) -> None:
    book = document()
    book["detection"]["signs"] = [given]
    assert linted(book) == []


WHOLE = Beside(frozenset({"inject", "respond", "verify"}), frozenset({"respond"}), frozenset({"resilience_rack"}))


def by_its_own(book: Record) -> None:
    """The cellar has playbooks of its own, and a decision that needs nobody."""
    drilled(book)
    decided_by("steps.look.outcome == 'failure' and steps.look.said | select('search', 'rises') | list")(book)
    step(book, "dry")["task"] = {"playbook": "verify", "variables": {"resilience_cluster": "$CLUSTER"}}
    step(book, "drain")["task"] = {"playbook": "respond", "variables": {"resilience_rack": "$CLUSTER"}}


def test_a_folder_with_its_own_playbooks_has_no_finding() -> None:
    book = document()
    by_its_own(book)
    assert linted(book, beside=WHOLE) == []


@pytest.mark.parametrize(
    ("code", "fault", "beside"),
    [
        ("folder_incomplete", lambda book: None, replace(WHOLE, playbooks=frozenset({"respond", "verify"}))),
        ("task_unknown", lambda book: step(book, "dry").update(task={"playbook": "inject"}), WHOLE),
        ("check_not_read_only", lambda book: step(book, "dry").update(task={"playbook": "respond"}), WHOLE),
        ("danger_understated", field("drain", destructive="none"), WHOLE),
    ],
)
def test_a_folders_own_playbooks_are_judged(code: str, fault: Fault, beside: Beside) -> None:
    book = document()
    by_its_own(book)
    fault(book)
    assert {one.code for one in linted(book, beside=beside)} == {code}


def test_two_runbooks_of_one_name_and_two_tags_of_one_step() -> None:
    twice = lint([Source("cellar_wet", document()), Source("cellar_wet", document())], SCHEMA, KNOWN, TODAY)
    assert [one.code for one in twice] == ["id_not_unique", "id_not_unique"]
    other = document(id="attic_wet")
    typed("look", "ls $HOST # DR: cellar_wet/drain")(other)
    assert [(one.code, one.where) for one in linted(document(), other)] == [
        ("tag_not_unique", "# DR: cellar_wet/drain"), ("tag_not_unique", "# DR: cellar_wet/drain"),
    ]  # fmt: skip


def test_two_runbooks_that_lead_to_one_another() -> None:
    wet, attic = document(), document(id="attic_wet")
    another("attic_wet")(wet)
    assert linted(wet, attic) == []
    another("cellar_wet")(attic)
    assert [one.code for one in linted(wet, attic)] == ["runbooks_go_round"]


def test_what_is_no_runbook_keeps_no_other_from_being_judged() -> None:
    wet = document(id="attic_wet", owner="TBD")
    found = lint([Source("broken", ["no", "mapping"]), Source("attic_wet", wet)], SCHEMA, KNOWN, TODAY)
    assert {(one.runbook, one.code) for one in found} == {("broken", "schema"), ("attic_wet", "placeholder_left")}


def test_a_link_of_which_nobody_can_say_is_no_fault() -> None:
    book = document(references=["docs/attic.md"])
    assert linted(book, known=replace(KNOWN, links=frozenset(), unseen=frozenset({"docs/attic.md"}))) == []


def test_a_plan_only_looks_whatever_its_playbook_does() -> None:
    book = document()
    step(book, "dry")["task"] = {"playbook": "drain", "check": True, "variables": {"resilience_cluster": "$CLUSTER"}}
    assert linted(book) == []


def test_a_way_that_is_gone_twice_takes_twice_the_time() -> None:
    """Look may be come to twice: the ring with its other steps fits into 600 s once, and not twice."""
    book = document()
    ring(book)
    step(book, "look")["attempts"] = 2
    assert "path_over_objective" in {one.code for one in linted(book)}
    assert "cycle_unbounded" not in {one.code for one in linted(book)}


def test_a_finding_tells_what_would_be_right() -> None:
    book = document()
    book["detection"]["alerts"] = ["CellarWett"]
    [found] = linted(book)
    assert str(found) == (
        "cellar_wet: detection.alerts: there is no alert CellarWett; right would be: CellarWet (alert_unknown)"
    )
    assert found.as_dict()["right"] == "CellarWet"

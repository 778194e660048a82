# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk stands where what was done has led it, and asks a person for nothing but what only he can say."""

from __future__ import annotations

import typing as t

import pytest
from sample_runbook import SCHEMA, Record, document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, parsed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.walk import Done


def books(*documents: Record) -> dict[str, Runbook]:
    return {one["id"]: parsed(one, SCHEMA, one["id"]) for one in documents or (document(),)}


def stands(*done: Done, among: dict[str, Runbook] | None = None) -> walk.Standing:
    return walk.standing(among or books(), "cellar_wet", done)


def outcomes(*told: str) -> list[Done]:
    """``look failure``, ``choose=drain``."""
    found = []
    for one in told:
        where, _equals, to = one.partition("=")
        found.append(Done(where, "success", to=to) if to else Done(*one.split()))
    return found


def through(inner: str, **changed: t.Any) -> Record:
    """The cellar's runbook, in which another one stands in place of what is done by hand."""
    made = document(**changed)
    by_hand = step(made, "shut")
    for key in ("text", "destructive"):
        del by_hand[key]
    by_hand.update(type="runbook", runbook=inner)
    return made


def pump() -> Record:
    steps = [one for one in document()["steps"] if one["id"] in ("look", "dry", "done", "lost")]
    steps[0]["next"] = {"success": "dry", "failure": "lost", "unknown": "lost"}
    return document(id="pump", steps=steps)


@pytest.mark.parametrize(
    ("done", "where", "verdict"),
    [
        ([], "look", ""),
        (["look success"], "dry", ""),
        (["look failure"], "choose", ""),
        (["look unknown"], "choose", ""),
        (["look failure", "choose=shut"], "shut", ""),
        (["look failure", "choose=shut", "shut failure"], "drain", ""),
        (["look failure", "choose=lost"], "lost", "failed"),
        (["look success", "dry success"], "done", "passed"),
        (["look success", "dry unknown"], "lost", "failed"),
    ],
)
def test_each_outcome_leads_to_its_step(done: list[str], where: str, verdict: str) -> None:
    now = stands(*outcomes(*done))
    assert (now.where, now.verdict) == (where, verdict)


def test_a_test_may_ask_what_was_found_and_of_the_rest_nothing() -> None:
    now = stands(Done("look", "failure", ("it rises",)))
    assert now.known["look"] == {"outcome": "failure", "said": ["it rises"]}
    assert now.known["drain"] == {"outcome": "", "said": []}
    assert now.book.id == "cellar_wet" and now.step.id == "choose"


def test_a_step_is_come_to_as_often_as_it_may_be_and_then_it_is_over() -> None:
    given = document()
    step(given, "dry")["next"]["failure"] = "look"
    step(given, "look")["attempts"] = 2
    round_about = outcomes("look success", "dry failure")
    assert stands(*round_about, among=books(given)).where == "look"
    now = stands(*round_about, *round_about, among=books(given))
    assert (now.where, now.verdict) == ("look", "unknown")
    assert now.reason == "look was come to 2 times, and may be no more"


def test_a_runbook_within_another_one_hands_back_how_it_ended() -> None:
    among = books(through("pump"), pump())
    into = outcomes("look failure", "choose=shut")
    now = stands(*into, among=among)
    assert (now.where, now.book.id) == ("shut/look", "pump")
    assert now.known["look"]["outcome"] == ""
    well = [*into, *outcomes("shut/look success", "shut/dry success")]
    assert stands(*well, among=among).known["shut"] == {"outcome": "success", "said": ["The cellar is dry"]}
    badly = [*into, *outcomes("shut/look failure")]
    now = stands(*badly, among=among)
    assert (now.where, now.known["shut"]["outcome"]) == ("drain", "failure")


def test_one_that_comes_to_no_end_is_unknown_to_the_one_around_it() -> None:
    inner = pump()
    step(inner, "dry")["next"]["failure"] = "look"
    step(inner, "look")["attempts"] = 1
    among = books(through("pump"), inner)
    told = ["look failure", "choose=shut", "shut/look success", "shut/dry failure"]
    now = stands(*outcomes(*told), among=among)
    assert (now.where, now.known["shut"]["outcome"]) == ("drain", "unknown")


def test_a_record_of_another_way_is_none() -> None:
    with pytest.raises(InputError, match="the record is not one of this runbook"):
        stands(Done("dry", "success"))


# what is looked at again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "first"),
    [
        ([], 0),
        (["look failure"], 0),
        (["look failure", "choose=drain"], 0),
        (["look failure", "choose=drain", "drain success"], 3),
        (["look failure", "choose=shut", "shut success"], 3),
        (["look failure", "choose=drain", "drain success", "dry success"], 3),
    ],
)
def test_what_came_after_the_last_change_is_looked_at_again(done: list[str], first: int) -> None:
    assert walk.to_look_again(books(), "cellar_wet", outcomes(*done)) == first


# what a person says ---------------------------------------------------------------------------------------------------


def test_a_decision_is_answered_by_number_by_step_or_by_unknown() -> None:
    choose = books()["cellar_wet"].by_id["choose"]
    assert [walk.answered("choose", choose, one, "anna").to for one in ("1", "2", "shut", "unknown")] == [
        "drain", "shut", "shut", "lost",
    ]  # fmt: skip
    assert walk.answered("choose", choose, "1", "anna").by == "anna"
    assert walk.possible(choose)["1"] == "it rises: drain comes next"
    with pytest.raises(InputError, match="this is no answer to Does it still rise") as refused:
        walk.answered("choose", choose, "3", "anna")
    assert "1, it rises: drain comes next; 2, it stands: shut comes next; unknown" in str(refused.value.possible)


def test_what_is_done_by_hand_is_done_failed_or_unknown() -> None:
    shut = books()["cellar_wet"].by_id["shut"]
    told = [walk.answered("shut", shut, one, "anna").outcome for one in ("done", "failed", "unknown")]
    assert told == ["success", "failure", "unknown"]
    with pytest.raises(InputError, match="this is no answer to The main is shut") as refused:
        walk.answered("shut", shut, "1", "anna")
    assert "done, success: drain comes next" in str(refused.value.possible)


def test_an_answer_to_what_nobody_is_asked_is_refused() -> None:
    among = books(through("pump"), pump())
    walk.check_answers(among, "cellar_wet", {"choose": "drain", "choose:2": "2"})
    with pytest.raises(InputError, match="nobody is asked that"):
        walk.check_answers(among, "cellar_wet", {"look": "done"})
    with pytest.raises(InputError, match="this is no answer"):
        walk.check_answers(among, "cellar_wet", {"choose": "attic"})


def test_a_step_of_a_runbook_within_another_one_is_asked_by_its_place() -> None:
    wet = through("cellar_wet", id="house")
    walk.check_answers(books(wet, document()), "house", {"shut/shut": "done", "shut/choose": "1"})


# the record -----------------------------------------------------------------------------------------------------------


def ended(told: str, by: str = "", said: t.Sequence[str] = ()) -> Record:
    [done] = outcomes(told)
    return {"kind": walk.ENDED, **walk.as_fields(Done(done.where, done.outcome, tuple(said), done.to, by))}


def test_what_is_recorded_is_read_again() -> None:
    events = [{"kind": "opened"}, {"kind": walk.BEGUN, "step": "look"}, ended("look failure", said=["it rises"])]
    found = walk.history([*events, ended("choose=drain", by="anna"), {"kind": walk.BEGUN, "step": "drain"}])
    assert found.done == (Done("look", "failure", ("it rises",)), Done("choose", "success", (), "drain", "anna"))
    assert found.begun
    assert not walk.history([*events, {"kind": walk.WAITS, "step": "choose"}]).begun


def test_a_second_look_with_the_same_outcome_changes_no_way() -> None:
    events = [ended("look failure"), ended("choose=drain", by="anna")]
    again = {**ended("look failure", said=["it stands"]), "kind": walk.RECHECKED, "place": 0, "was": "failure"}
    found = walk.history([*events, again])
    assert [one.where for one in found.done] == ["look", "choose"]
    assert found.done[0].said == ("it stands",)


def test_a_second_look_with_another_one_does_away_with_what_followed() -> None:
    events = [ended("look failure"), ended("choose=drain", by="anna")]
    again = {**ended("look success"), "kind": walk.RECHECKED, "place": 0, "was": "failure"}
    found = walk.history([*events, again])
    assert found.done == (Done("look", "success"),)
    # Whoever has answered once is asked by another key, so that the old answer is not taken for a new one.
    assert found.key("choose") == "choose:2" and found.key("shut") == "shut"


def test_a_decision_that_counts_no_more_is_gone() -> None:
    events = [ended("look failure"), ended("choose=drain"), {"kind": walk.BACK, "place": 1, "step": "choose"}]
    found = walk.history(events)
    assert [one.where for one in found.done] == ["look"] and found.key("choose") == "choose"

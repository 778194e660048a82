# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runbook is found by its name, and its parameters are asked for before they are needed."""

from __future__ import annotations

import pytest
from sample_runbook import SCHEMA, Record, document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import filling
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, parsed

THERE = ["primary_crash", "primary_host_lost", "region_lost"]


def books(*documents: Record) -> dict[str, Runbook]:
    return {one["id"]: parsed(one, SCHEMA, one["id"]) for one in documents}


def test_a_name_or_the_beginning_of_just_one_is_enough() -> None:
    assert filling.named("region_lost", THERE) == "region_lost"
    assert filling.named("reg", THERE) == "region_lost"
    # One whose whole name another one begins with is meant by it.
    assert filling.named("primary", [*THERE, "primary"]) == "primary"


@pytest.mark.parametrize(
    ("given", "said", "possible"),
    [
        ("primary", "2 runbooks begin with 'primary'", "primary_crash, primary_host_lost"),
        ("primary_crush", "there is no runbook named 'primary_crush'", "primary_crash"),
        ("zebra", "there is no runbook named 'zebra'", ", ".join(THERE)),
        (None, "no runbook is named", ", ".join(THERE)),
    ],
)
def test_any_other_name_is_answered_with_those_that_may_be_meant(given: str | None, said: str, possible: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        filling.named(given, THERE)
    assert str(refused.value.possible).startswith(possible)


def test_parameters_are_filled_in_wherever_they_stand() -> None:
    given = {"a": "$CLUSTER", "b": ["${RACK}7", 3, True], "c": {"d": "on $HOSTS"}}
    parameters = {"CLUSTER": "orders", "RACK": "R", "HOSTS": ["a", "b"]}
    assert filling.filled(given, parameters, {}) == {"a": "orders", "b": ["R7", 3, True], "c": {"d": "on a,b"}}
    with pytest.raises(InputError, match=r"nobody said what \$RACK is") as refused:
        filling.filled(given, {"CLUSTER": "orders"}, {"RACK": "the rack"})
    assert refused.value.possible == "RACK: the rack"
    assert '{"resilience_runbook_parameters": {"RACK": "…"}}' in str(refused.value.next_step)


def test_what_each_way_needs_is_asked_for_at_once_and_the_rest_at_its_step() -> None:
    book = document()
    step(book, "drain")["task"]["variables"]["resilience_accept_loss"] = "$REASON"
    book["parameters"]["REASON"] = "why"
    one = books(book)
    filling.check_parameters(one, "cellar_wet", {"CLUSTER": "lab", "STANZA": "wine", "HOST": "R7"})
    with pytest.raises(InputError, match=r"nobody said what \$HOST is"):
        filling.check_parameters(one, "cellar_wet", {"CLUSTER": "lab"})
    with pytest.raises(InputError, match="there is no parameter HOTS") as refused:
        filling.check_parameters(one, "cellar_wet", {"CLUSTER": "lab", "HOTS": "R7"})
    assert "HOST: the rack that is wet" in str(refused.value.possible)


def test_a_runbook_that_each_way_goes_through_needs_what_it_needs() -> None:
    outer = document(id="house")
    look = step(outer, "look")
    for key in ("task", "command", "evidence"):
        del look[key]
    look.update(type="runbook", runbook="cellar_wet")
    with pytest.raises(InputError, match=r"nobody said what \$HOST is"):
        filling.check_parameters(books(outer, document()), "house", {"CLUSTER": "lab"})


def test_a_module_on_a_group_needs_the_cluster() -> None:
    book = document()
    step(book, "look")["task"] = {"module": "level_info", "host": "members", "variables": {}}
    assert filling.reads(books(book)["cellar_wet"].by_id["look"]) == {"CLUSTER"}

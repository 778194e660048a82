# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A document becomes a runbook, or is refused with the places that are wrong."""

from __future__ import annotations

import jsonschema
import pytest
from sample_runbook import SCHEMA, document, step

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import parsed, tag


def test_all_that_it_says_is_in_the_runbook() -> None:
    book = parsed(document(), SCHEMA, "cellar_wet")
    assert (book.id, book.severity, book.rto_seconds, book.engines) == ("cellar_wet", "sev1", 600, ("manual",))
    assert book.queries[0].means == "water stands"
    assert book.phases["recovery"].seconds == 420
    assert book.contacts[0].purpose == "the pumps"
    look, choose = book.steps[:2]
    assert look.task is not None and (look.task.module, look.task.host) == ("level_info", "$HOST")
    assert look.commands[0].run.startswith("systemctl status") and look.evidence == ("how high it stands",)
    assert choose.ways_on == (("it rises", "drain"), ("it stands", "shut"), ("unknown", "lost"))
    assert book.by_id["drain"].no_command == "the wheel is rusty"
    assert tag(book.id, look.id) == "# DR: cellar_wet/look"


def test_it_is_refused_with_where_and_what_would_be_right() -> None:
    given = document(review_days=0)
    given["steps"][0]["next"]["unkown"] = "lost"
    with pytest.raises(InputError) as refused:
        parsed(given, SCHEMA, "cellar_wet")
    said = refused.value.as_result()["msg"]
    assert "review_days: 0 is below 1" in said
    assert "steps.0.next.unkown: it is unknown here; possible: success, failure, unknown" in said
    assert "runbook.schema.json" in said


def test_a_step_has_what_its_type_needs() -> None:
    given = document()
    del step(given, "choose")["branches"]
    with pytest.raises(InputError, match="step choose: a step of type decision has no branches"):
        parsed(given, SCHEMA, "cellar_wet")


def test_the_schema_is_one_and_any_validator_comes_to_the_same() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert validator.is_valid(document())
    assert not validator.is_valid(document(review_days=0))

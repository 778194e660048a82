# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test of a decision is read before anybody needs it, and answered by what was found."""

from __future__ import annotations

import jinja2
import pytest

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import expressions

STEPS = {
    "look": {"outcome": "failure", "said": ["pg-a1: connection refused"]},
    "plan": {"outcome": "", "said": []},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("steps.look.outcome == 'failure'", True),
        ("steps.look.outcome != 'success' and steps.plan.outcome != 'failure'", True),
        ("steps.plan.outcome == 'success'", False),
        ("steps.look.said | select('search', 're.used') | list | length > 0", True),
        ("'refused' in steps.look.said | join", True),
        ("steps.plan.said", False),
    ],
)
def test_it_holds_or_not(text: str, holds: bool) -> None:
    found = expressions.read(text)
    assert not found.wrong and found.steps <= set(STEPS)
    assert expressions.holds(text, STEPS) is holds


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("steps.look.outcome ==", "it is no expression of Jinja"),
        ("true) }}{{ (true", "it is no expression of Jinja"),
        ("steps.look.said | frobnicate", "No filter named 'frobnicate'"),
        ("look.outcome == 'failure'", "there is no look, only steps"),
        ("steps.look.verdict == 'failed'", "a step has no verdict, only outcome and said"),
        ("steps.look.outcome in ['failure', 'unknow']", "'unknow' is no outcome, only success, failure, unknown"),
    ],
)
def test_what_nobody_can_answer_is_found_at_once(text: str, wrong: str) -> None:
    assert wrong in expressions.read(text).wrong


def test_what_cannot_be_answered_is_no_answer() -> None:
    with pytest.raises(jinja2.TemplateError):
        expressions.holds("steps.attic.outcome == 'failure'", STEPS)
    with pytest.raises(jinja2.TemplateError):
        expressions.holds("steps.look.said.__class__.__mro__", STEPS)

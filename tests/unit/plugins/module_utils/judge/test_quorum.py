# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a primary can acknowledge nothing more, by counting who could confirm."""

from __future__ import annotations

import itertools
import random

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.quorum import Rule, argue, parse
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict

LAB = 'ANY 1 ("pg-a2", "repo-a-receiver")'


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (LAB, Rule(1, ("pg-a2", "repo-a-receiver"))),
        ("FIRST 2 (s1, s2, s3)", Rule(2, ("s1", "s2", "s3"))),
        ("any 3(a,b , c)", Rule(3, ("a", "b", "c"))),
        ("2 (a, b)", Rule(2, ("a", "b"))),
        ("s1, S2", Rule(1, ("s1", "s2"))),
        ("*", Rule(1, ("*",))),
        ('ANY 1 ("a, b", "c""d")', Rule(1, ("a, b", 'c"d'))),
        ("", None),
        ("  ", None),
    ],
)
def test_postgresqls_ways_to_say_it(text: str, rule: Rule | None) -> None:
    assert parse(text) == rule


@pytest.mark.parametrize(
    "text", ["ANY 1 ()", "ANY 0 (a)", "ANY 1 (a", "a b", "a,,b", "ANY 1 (a,)", 'ANY 1 ("a)', "ANY (a)"]
)
def test_what_it_is_not_is_an_error(text: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text)
    assert error.value.given == text


def test_the_candidates_promotion_is_the_last_step() -> None:
    assert argue("pg-a1", LAB, ["repo-a-receiver"], "pg-a2").verdict is Verdict.PASSED
    assert argue("pg-a1", LAB, [], "pg-a2").verdict is Verdict.UNKNOWN
    assert argue("pg-a1", LAB, ["repo-a-receiver"]).verdict is Verdict.UNKNOWN


def test_who_may_still_confirm_is_named() -> None:
    assert "repo-a-receiver may still confirm" in argue("pg-a1", LAB, [], "pg-a2").reason


def test_a_strict_quorum_is_broken_by_one() -> None:
    assert argue("pg-a1", "ANY 2 (pg-a2, repo-a-receiver)", [], "pg-a2").verdict is Verdict.PASSED


def test_without_synchronous_standbys_there_is_no_argument() -> None:
    assert argue("pg-a1", "", ["pg-a2", "pg-b1"], "pg-a2").verdict is Verdict.FAILED


def test_everybody_cannot_be_counted() -> None:
    assert argue("pg-a1", "ANY 1 (*)", ["pg-a2", "pg-b1"], "pg-a2").verdict is Verdict.UNKNOWN


def test_one_that_was_never_waited_for_proves_nothing() -> None:
    assert argue("pg-a1", LAB, ["pg-b1", "pg-c1"], "pg-a2").verdict is Verdict.UNKNOWN


def test_it_passes_just_when_no_quorum_is_left(seed: int = 20261123) -> None:
    """Against every set of confirmers that could still form: passed if and only if none has enough."""
    random_ = random.Random(seed)
    everybody = [f"s{number}" for number in range(6)]
    for _attempt in range(400):
        names = random_.sample(everybody, random_.randint(1, 6))
        needed = random_.randint(1, len(names))
        gone = set(random_.sample(everybody, random_.randint(0, 6)))
        alive = [name for name in names if name not in gone]
        could = any(len(group) >= needed for size in range(7) for group in itertools.combinations(alive, size))
        check = argue("p", f"ANY {needed} ({', '.join(names)})", gone)
        assert (check.verdict is Verdict.PASSED) is not could

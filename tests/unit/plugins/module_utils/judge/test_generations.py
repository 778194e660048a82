# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generations of the key: numbers that never collide, paths that never move, and no passphrase in an error."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.fraiseql.resilience.plugins.filter.key_generations import FilterModule
from ansible_collections.fraiseql.resilience.plugins.filter.key_id import FilterModule as KeyId
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.generations import generations, place, serves
from ansible_collections.fraiseql.resilience.plugins.module_utils.key_id import key_id


def seen(found: t.Any) -> list[tuple[int, str, tuple[int, int], str, bool]]:
    return [(one.generation, one.passphrase, one.repos, one.suffix, one.written) for one in found]


def test_the_only_key_has_the_repositories_that_were_always_there() -> None:
    assert seen(generations(1, "one", {})) == [(1, "one", (1, 2), "", True)]


def test_while_a_rotation_goes_on_both_are_written_and_the_old_one_serves() -> None:
    assert seen(generations(2, "two", {"1": "one"}, 1)) == [
        (1, "one", (1, 2), "", True),
        (2, "two", (21, 22), "/key-2", True),
    ]


def test_afterwards_the_earlier_ones_are_only_read_at_the_path_that_they_have_always_had() -> None:
    assert seen(generations("3", "three", {1: "one", 2: "two"})) == [
        (3, "three", (1, 2), "/key-3", True),
        (2, "two", (21, 22), "/key-2", False),
        (1, "one", (11, 12), "", False),
    ]


def test_numbers_stay_below_what_pgbackrest_counts_to() -> None:
    old = {number: f"key {number}" for number in range(26, 50)}
    found = generations(50, "key 50", old)
    numbers = [repo for one in found for repo in one.repos]
    assert len(set(numbers)) == 50 and max(numbers) <= 256
    assert {place(repo) for repo in numbers} == {1, 2} and [repo for repo in numbers if serves(repo)] == [1, 2]
    with pytest.raises(InputError, match="more than 25"):
        generations(51, "key 51", {**old, 50: "key 50", 25: "key 25"})


@pytest.mark.parametrize(
    ("current", "old", "serving", "says"),
    [
        (0, {}, None, "a generation is a number from 1 on"),
        ("two", {}, None, "a generation is a number"),
        (1, {1: "s3cret-old"}, None, "not older"),
        (2, {3: "s3cret-old"}, None, "not older"),
        (2, {1: "s3cret-new"}, None, "same passphrase"),
        (3, {2: "s3cret-old", 1: "s3cret-old"}, None, "same passphrase"),
        (3, {1: "s3cret-old"}, 2, "cannot serve"),
        (3, {2: "s3cret-two", 1: "s3cret-old"}, 1, "cannot serve"),
    ],
)
def test_what_cannot_be_right_is_refused_and_tells_no_passphrase(
    current: t.Any, old: dict[int, str], serving: int | None, says: str
) -> None:
    with pytest.raises(InputError, match=says) as refused:
        generations(current, "s3cret-new", old, serving)
    assert "s3cret" not in refused.value.as_result()["msg"]
    with pytest.raises(AnsibleFilterError, match=says):
        FilterModule().filters()["key_generations"]("s3cret-new", current, old, serving)


def test_templates_get_the_same() -> None:
    assert FilterModule().filters()["key_generations"]("one", generation=1)[0]["repos"] == [1, 2]
    assert KeyId().filters()["key_id"]("one") == key_id("one")

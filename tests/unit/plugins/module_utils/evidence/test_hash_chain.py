# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import math

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import hash_chain


def chained(*kinds: str) -> list[bytes]:
    lines, head = [], hash_chain.GENESIS
    for number, kind in enumerate(kinds, start=1):
        lines.append(hash_chain.canonical({"n": number, "kind": kind, "previous": head}))
        head = hash_chain.link(lines[-1])
    return lines


def text(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def test_a_record_is_always_written_the_same_way() -> None:
    assert hash_chain.canonical({"b": 1, "a": "é"}) == b'{"a":"\\u00e9","b":1}'


def test_what_is_not_json_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        hash_chain.canonical({"seconds": math.nan})


def test_an_untouched_chain_is_whole() -> None:
    lines = chained("opened", "mark", "sealed")
    chain = hash_chain.read(text(lines))
    assert [event["kind"] for event in chain.events] == ["opened", "mark", "sealed"]
    assert chain.problems == ()
    assert chain.head == hash_chain.link(lines[-1])


def test_an_empty_file_is_the_begin_of_a_chain() -> None:
    assert hash_chain.read(b"") == hash_chain.Chain((), (), hash_chain.GENESIS)


def test_a_changed_line_is_named_by_the_one_after_it() -> None:
    lines = chained("opened", "mark", "mark", "sealed")
    lines[1] = lines[1].replace(b"mark", b"fake")
    assert hash_chain.read(text(lines)).problems == (
        "line 3 does not follow from line 2: one of them was changed, moved or taken out",
    )


def test_a_changed_first_line_is_seen() -> None:
    lines = chained("opened", "mark")
    first = json.loads(lines[0])
    lines[0] = hash_chain.canonical({**first, "previous": "1" * 64})
    problems = hash_chain.read(text(lines)).problems
    assert problems[0].startswith("line 1 does not follow")
    assert problems[1].startswith("line 2 does not follow")


def test_a_line_taken_out_is_seen() -> None:
    lines = chained("opened", "mark", "sealed")
    problems = hash_chain.read(text([lines[0], lines[2]])).problems
    assert "line 2 does not follow from line 1: one of them was changed, moved or taken out" in problems
    assert "line 2 says that it is line 3" in problems


def test_lines_that_changed_places_are_seen() -> None:
    first, second, third = chained("opened", "mark", "sealed")
    assert len(hash_chain.read(text([first, third, second])).problems) == 4


def test_a_line_put_in_is_seen() -> None:
    first, second = chained("opened", "sealed")
    between = hash_chain.canonical({"n": 2, "kind": "mark", "previous": hash_chain.link(first)})
    assert hash_chain.read(text([first, between, second])).problems


def test_what_was_cut_off_the_end_changes_the_head() -> None:
    lines = chained("opened", "mark", "sealed")
    shorter = hash_chain.read(text(lines[:2]))
    assert shorter.problems == ()
    assert shorter.head != hash_chain.read(text(lines)).head


def test_a_torn_line_at_the_end_is_a_problem() -> None:
    chain = hash_chain.read(text(chained("opened")) + b'{"n":2,"ki')
    assert chain.torn == b'{"n":2,"ki'
    assert chain.problems == ("line 2 is torn: it has no end",)


def test_a_torn_line_is_forgiven_only_if_the_next_one_says_so() -> None:
    [first] = chained("opened")
    torn = b'{"n":2,"ki'
    said = hash_chain.canonical({"n": 3, "kind": "torn", "previous": hash_chain.link(torn)})
    silent = hash_chain.canonical({"n": 3, "kind": "mark", "previous": hash_chain.link(torn)})
    assert hash_chain.read(text([first, torn, said])).problems == ()
    assert hash_chain.read(text([first, torn, silent])).problems == (
        "line 2 is not JSON, and line 3 does not say that it was torn",
    )
    assert hash_chain.read(text([first, torn])).problems == ("line 2 is not JSON",)


def test_a_line_that_is_json_but_no_record_is_a_problem() -> None:
    assert hash_chain.read(b"[]\n").problems == ("line 1 is not JSON",)

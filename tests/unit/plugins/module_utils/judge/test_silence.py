# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A silence: whom it takes, how long it may last, and when there is nothing to do."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import silence
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.silence import Matcher, Silence

NOW = 1_800_000_000.0
WANTED = Silence(frozenset({Matcher("instance", "pg-a2")}), "Anna Berg", "rejoin", NOW, NOW + 600)


@pytest.mark.parametrize(
    ("told", "matcher"),
    [
        ("pg-a2", Matcher("instance", "pg-a2")),
        ("=~pg-a.*", Matcher("instance", "pg-a.*", regex=True)),
        ("!=pg-a2", Matcher("instance", "pg-a2", equal=False)),
        ("!~pg-a.*", Matcher("instance", "pg-a.*", regex=True, equal=False)),
        ("", Matcher("instance", "")),
    ],
)
def test_a_value_says_how_it_is_compared(told: str, matcher: Matcher) -> None:
    assert Matcher.told("instance", told) == matcher
    assert Matcher.found(matcher.as_told()) == matcher
    assert replace(WANTED, matchers=frozenset({matcher})).as_dict()["matchers"] == {"instance": told}


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"alertname": "=~.*"},
        {"alertname": "=~.+"},
        {"alertname": "!=Watchdog"},
        {"alertname": "!~Watch.*", "cluster": ""},
        {"alertname": "=~("},
        {"alert name": "x"},
    ],
)
def test_a_silence_of_everything_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(InputError):
        silence.matchers(told)


def test_one_matcher_that_takes_little_is_enough() -> None:
    assert len(silence.matchers({"alertname": "=~.*", "instance": "pg-a2"})) == 2


@pytest.mark.parametrize(
    ("seconds", "until", "ends"),
    [(600, None, NOW + 600), (86400, None, NOW + 86400), (None, "2027-01-15T09:00:00+01:00", NOW)],
)
def test_it_ends(seconds: int | None, until: str | None, ends: float) -> None:
    assert silence.end(NOW - (1 if until else 0), seconds, until, 86400) == ends


@pytest.mark.parametrize(
    ("seconds", "until", "most"),
    [
        (0, None, 86400),
        (-5, None, 86400),
        (86401, None, 86400),
        (60, None, 0),
        (60, None, silence.LONGEST + 1),
        (None, "2027-01-14T08:00:00Z", 86400),
        (None, "2027-01-17T08:00:00Z", 86400),
        (None, "2027-01-15 09:00", 86400),
        (None, "tomorrow", 86400),
    ],
)
def test_an_end_that_is_none_is_refused(seconds: int | None, until: str | None, most: int) -> None:
    with pytest.raises(InputError):
        silence.end(NOW, seconds, until, most)


def there(**changes: t.Any) -> Silence:
    return replace(WANTED, id="1", starts=NOW - 60, ends=NOW + 500, **changes)


def test_what_is_not_there_is_made() -> None:
    other = there(matchers=frozenset({Matcher("instance", "pg-a1")}))
    assert silence.decide(WANTED, [other], exact=False) == (None, WANTED)


def test_what_is_there_stays_as_it_is() -> None:
    assert silence.decide(WANTED, [there()], exact=False) == (there(), there())


def test_a_moment_that_was_asked_for_is_the_end() -> None:
    kept, wanted = silence.decide(WANTED, [there()], exact=True)
    assert (kept, wanted) == (there(), replace(there(), ends=WANTED.ends))
    assert silence.decide(replace(WANTED, ends=NOW + 500.4), [there()], exact=True) == (there(), there())


def test_another_reason_is_a_change() -> None:
    kept, wanted = silence.decide(WANTED, [there(comment="")], exact=False)
    assert kept != wanted
    assert (wanted.comment, wanted.id, wanted.ends) == ("rejoin", "1", NOW + 500)


def test_of_two_the_one_that_lasts_longer_counts() -> None:
    longer = replace(there(), id="2", ends=NOW + 900)
    assert silence.decide(WANTED, [there(), longer], exact=False) == (longer, longer)

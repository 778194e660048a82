# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a silence has to be, and what has to be done so that it is there. Pure: moments are seconds since 1970."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError

#: Nobody may ask for a longer one, whatever the bound.
LONGEST = 30 * 86400
#: A matcher's value may begin with what PromQL has there; without, it has to be equal.
OPERATORS = ("=~", "!~", "!=")
#: What no label's value is: a pattern that takes it takes everything.
NOBODY = "\N{REPLACEMENT CHARACTER} nobody"


@dataclass(frozen=True, order=True)
class Matcher:
    name: str
    value: str
    regex: bool = False
    equal: bool = True

    @classmethod
    def told(cls, name: str, value: str) -> Matcher:
        """Out of the user's words: ``pg-a2``, ``=~pg-a.*``, ``!=pg-a2``, ``!~pg-a.*``."""
        operator = next((one for one in OPERATORS if value.startswith(one)), "")
        return cls(name, value[len(operator) :], operator.endswith("~"), not operator.startswith("!"))

    @classmethod
    def found(cls, told: t.Mapping[str, t.Any]) -> Matcher:
        """Out of Alertmanager's."""
        return cls(told["name"], told["value"], bool(told["isRegex"]), bool(told.get("isEqual", True)))

    def as_told(self) -> dict[str, t.Any]:
        return {"name": self.name, "value": self.value, "isRegex": self.regex, "isEqual": self.equal}

    def takes(self, value: str) -> bool:
        same = re.fullmatch(self.value, value) is not None if self.regex else self.value == value
        return same == self.equal


@dataclass(frozen=True)
class Silence:
    matchers: frozenset[Matcher]
    author: str
    comment: str
    starts: float
    ends: float
    id: str = ""

    @classmethod
    def found(cls, told: t.Mapping[str, t.Any]) -> Silence:
        return cls(
            frozenset(Matcher.found(one) for one in told["matchers"]),
            told["createdBy"],
            told["comment"],
            moment(told["startsAt"]),
            moment(told["endsAt"]),
            told["id"],
        )

    def as_told(self) -> dict[str, t.Any]:
        """As Alertmanager takes it; with an ``id``, it changes that one."""
        told: dict[str, t.Any] = {
            "matchers": [one.as_told() for one in sorted(self.matchers)],
            "createdBy": self.author,
            "comment": self.comment,
            "startsAt": utc(self.starts),
            "endsAt": utc(self.ends),
        }
        return {**told, "id": self.id} if self.id else told

    def as_dict(self) -> dict[str, t.Any]:
        """As people read it."""
        words = {(False, True): "", (True, True): "=~", (True, False): "!~", (False, False): "!="}
        return {
            "id": self.id,
            "matchers": {one.name: words[one.regex, one.equal] + one.value for one in sorted(self.matchers)},
            "author": self.author,
            "comment": self.comment,
            "starts_at": utc(self.starts),
            "ends_at": utc(self.ends),
        }


def moment(text: str) -> float:
    """``2026-11-26T12:00:00Z``, or another time that says its zone, as seconds since 1970.

    :raises InputError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InputError("not a moment with its time zone", given=text, possible="2026-11-26T12:00:00Z")
    return found.timestamp()


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def matchers(told: t.Mapping[str, str]) -> frozenset[Matcher]:
    """Whom a silence is about.

    :raises InputError: everybody, or a pattern that is none.
    """
    wanted = frozenset(Matcher.told(name, str(value)) for name, value in told.items())
    for one in wanted:
        if not re.fullmatch(r"[a-zA-Z_]\w*", one.name):
            raise InputError("not the name of a label", given=one.name, possible="alertname, instance, cluster")
        try:
            re.compile(one.value if one.regex else "")
        except re.error as error:
            raise InputError(f"not a pattern: {error}", given=one.value) from error
    if all(one.takes(NOBODY) or one.takes("") for one in wanted):
        raise InputError(
            "a silence needs a matcher that does not match everything",
            given=dict(told),
            possible="{alertname: StandbyCutOff, instance: pg-a2}",
        )
    return wanted


def end(now: float, seconds: int | None, until: str | None, most: int) -> float:
    """When a silence is to end.

    :raises InputError: it is over already, or later than allowed.
    """
    if not 0 < most <= LONGEST:
        raise InputError("a silence may not be that long", given=f"{most} s", possible=f"1 to {LONGEST} s")
    wanted = moment(until) if until is not None else now + (seconds or 0)
    if not now < wanted <= now + most:
        raise InputError(
            "a silence ends after now, and no later than allowed",
            given=f"{wanted - now:.0f} s from now",
            possible=f"1 to {most} s",
        )
    return wanted


def decide(wanted: Silence, there: t.Sequence[Silence], *, exact: bool) -> tuple[Silence | None, Silence]:
    """The silence that is there already, and the one to be there. The two are equal where nothing is to be done.

    :param there: all that have not ended.
    :param exact: ``wanted.ends`` was asked for as a moment; else whatever end is there is kept.
    """
    same = [one for one in there if one.matchers == wanted.matchers]
    if not same:
        return None, wanted
    kept = max(same, key=lambda one: one.ends)
    ends = wanted.ends if exact and abs(kept.ends - wanted.ends) >= 1 else kept.ends
    return kept, Silence(kept.matchers, wanted.author, wanted.comment, kept.starts, ends, kept.id)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the signs that a runbook is recognised by: could each of them ever be seen? Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.observation import (
    AGENT,
    FAIL,
    GONE,
    HOST,
    OF_HOSTS,
    PASS,
    POWER,
    UNKNOWN,
    WARN,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, Sign
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.known import Context, Fault, Rule

#: In which states a component of no agent can be seen; those of agents know all but the last one.
_STATES = {AGENT: {PASS, GONE}, HOST: {PASS, GONE}, POWER: {PASS, FAIL}}
_OF_AGENTS = {PASS, WARN, FAIL, UNKNOWN}


def _all(book: Runbook) -> Iterator[tuple[str, Sign]]:
    """Each sign with its place, also those of which one is enough."""
    for number, sign in enumerate(book.signs):
        yield f"detection.signs.{number}", sign
        yield from ((f"detection.signs.{number}.any.{place}", one) for place, one in enumerate(sign.any))


def _unclear(book: Runbook, _context: Context) -> Iterator[Fault]:
    for where, sign in _all(book):
        about = [name for name in ("component", "hazard", "any") if getattr(sign, name)]
        if len(about) != 1:
            yield where, f"it is about {' and '.join(about) or 'nothing'}", "a component, a hazard, or any of several"
        elif sign.any and (sign.at or sign.states or sign.says or sign.hosts):
            yield where, "any of several has a place, a state or words of its own", "those of each of them"
        elif sign.hazard and (sign.at or sign.states):
            yield where, "a hazard has neither a place nor a state", "says, with what its detail has to hold"
        elif sign.component and not sign.states:
            yield where, f"it does not say how {sign.component} is", "is, with one state or more"
        elif ".any." in where and (sign.any or sign.weight != 1):
            yield where, "one of several has a weight, or several, of its own", "the weight of all together"


def _unknown(book: Runbook, context: Context) -> Iterator[Fault]:
    known = context.known
    for where, sign in _all(book):
        if sign.component and sign.component not in {*known.components, *OF_HOSTS}:
            yield where, f"there is no component {sign.component}", ", ".join([*sorted(known.components), *OF_HOSTS])
        if sign.hazard and sign.hazard not in known.hazards:
            yield where, f"there is no hazard {sign.hazard}", ", ".join(sorted(known.hazards))


def _impossible(book: Runbook, _context: Context) -> Iterator[Fault]:
    for where, sign in _all(book):
        possible = _STATES.get(sign.component, _OF_AGENTS)
        for state in sorted(set(sign.states) - possible):
            yield where, f"{sign.component} is never {state}", " or ".join(sorted(possible))


def _unreadable(book: Runbook, _context: Context) -> Iterator[Fault]:
    for where, sign in _all(book):
        try:
            re.compile(sign.says)
        except re.error as error:
            yield where, f"{sign.says} is no regular expression: {error}", "one that Python reads"


RULES: dict[str, Rule] = {
    "sign_unclear": _unclear,
    "sign_unknown": _unknown,
    "sign_impossible": _impossible,
    "sign_unreadable": _unreadable,
}

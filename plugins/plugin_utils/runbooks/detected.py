# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was detected, as lines of text that fit on one screen. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence

#: Runbooks that are shown, and lines of each kind.
SHOWN, LINES = 3, 4


def screen(found: Mapping[str, t.Any]) -> list[str]:
    """How bad it is, then which runbook it is likely to be, last what nobody knows."""
    return [
        *_severity(found),
        "",
        *_runbooks(found),
        *_listed("No runbook is known by this", found["unexplained"]),
        *_listed("Not seen", found["unseen"]),
        *_listed("Only people can notice", [", ".join(found["left_to_people"])] if found["left_to_people"] else []),
    ]


def _severity(found: Mapping[str, t.Any]) -> Iterator[str]:
    if found["blind"]:
        yield "Nothing could be seen: no agent and no member answers this observer (unknown)"
        return
    level = found["severity"]
    if level is None:
        yield "Nothing is wrong that could be seen" + (" (unknown)" if found["unseen"] else "")
    elif level == found["severity_computed"]:
        yield f"Severity {level}, computed"
    else:
        by_facts = found["severity_computed"] or "that nothing is wrong"
        yield f"Severity {level}, given by a person; the facts say {by_facts}"
    yield from _cut(found["severity_reasons"])


def _runbooks(found: Mapping[str, t.Any]) -> Iterator[str]:
    if found["blind"]:
        return
    if not found["ranked"]:
        yield "No runbook is known by what was seen"
        return
    after = f"after {found['seconds']:g} s"
    yield f"Recognised {after}:" if found["recognised"] else f"Not recognised {after}; the likely ones:"
    for one in found["ranked"][:SHOWN]:
        yield f"{one['score']:.2f}  {one['runbook']}: {one['title']} ({one['severity_rule']})"
        yield from _marked("for", [*one["signs_for"], *(f"alert {name}" for name in one["alerts"])])
        yield from _marked("against", one["signs_against"])
        yield from _marked("not seen", one["signs_unseen"])
    first = found["ranked"][0]["runbook"]
    yield ""
    yield f"Go on with docs/runbooks/{first}.md, or:"
    yield "  ansible-playbook fraiseql.resilience.runbook \\"
    yield f"    -e resilience_cluster={found['cluster']} -e resilience_runbook={first}"


def _marked(word: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"      {word}: " + "; ".join(_shortened(lines))


def _listed(heading: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{heading}:"
        yield from _cut(lines)


def _cut(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in _shortened(lines))


def _shortened(lines: Sequence[str]) -> list[str]:
    more = len(lines) - LINES
    return [*lines[:LINES], *([f"and {more} more"] if more > 0 else [])]

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps as a graph: what can be reached, what goes round, how long the longest way is. Pure.

A graph is ``{step: steps that may come next}``; what a step leads to and is not a step itself is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


def reached(graph: Graph, start: str, without: Collection[str] = ()) -> set[str]:
    """The steps on any way from ``start``, itself included, that goes through none of ``without``."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        step = waiting.pop()
        if step in graph and step not in seen and step not in without:
            seen.add(step)
            waiting.extend(graph[step])
    return seen


def backward(graph: Graph) -> dict[str, list[str]]:
    """The same graph, each step with those that lead to it."""
    found: dict[str, list[str]] = {step: [] for step in graph}
    for step, following in graph.items():
        for one in following:
            if one in found:
                found[one].append(step)
    return found


def leading_to(graph: Graph, ends: Iterable[str]) -> set[str]:
    """The steps from which a way leads to one of ``ends``, themselves included."""
    before = backward(graph)
    return set().union(*(reached(before, end) for end in ends))


def rings(graph: Graph) -> list[list[str]]:
    """Steps that can be come to from one another; a step that only leads on is in none. In the order of the graph."""
    before, found, known = backward(graph), [], set()
    for step in graph:
        if step not in known:
            ring = _after(graph, step) & _after(before, step)
            known |= ring
            if ring:
                found.append([one for one in graph if one in ring])
    return found


def unbounded(graph: Graph, bounded: Collection[str]) -> list[list[str]]:
    """Rings that can be gone round for ever: on the way round is no step whose visits are bounded."""
    left = {step: following for step, following in graph.items() if step not in bounded}
    return rings(left)


def longest(graph: Graph, start: str, weight: Callable[[str], float], visits: Mapping[str, int]) -> float:
    """The most that any way from ``start`` weighs.

    Within a ring it is an upper bound: of a ring with B visits of bounded steps, a way has at most B + 1 stretches
    between them, each of which comes to any other step once.

    :param visits: how often each bounded step may be come to; each ring has one, see :func:`unbounded`.
    """
    ring_of = {step: number for number, ring in enumerate(rings(graph)) for step in ring}
    parts: dict[str | int, list[str]] = {}
    for step in graph:
        parts.setdefault(ring_of.get(step, step), []).append(step)
    known: dict[str | int, float] = {}

    def most(part: str | int) -> float:
        if part not in known:
            steps = parts[part]
            after = {ring_of.get(one, one) for step in steps for one in graph[step] if one in graph} - {part}
            known[part] = _weighed(steps, weight, visits, round_about=part in ring_of.values()) + max(
                map(most, after), default=0.0
            )
        return known[part]

    return most(ring_of.get(start, start))


def _weighed(
    steps: Sequence[str], weight: Callable[[str], float], visits: Mapping[str, int], *, round_about: bool
) -> float:
    if not round_about:
        return sum(map(weight, steps))
    stretches = 1 + sum(visits.get(step, 0) for step in steps)
    return sum(weight(step) * visits.get(step, stretches) for step in steps)


def _after(graph: Graph, step: str) -> set[str]:
    """What can be come to in one step or more."""
    return set().union(*(reached(graph, one) for one in graph[step]))

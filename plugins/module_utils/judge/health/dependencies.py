# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who needs whom, and whose fault it is. Pure.

A component that needs another one *hard* is as bad as that one; one that needs it *soft* only warns. What fails while
something that it needs hard fails, too, has inherited its fault, so that one cause pages once.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Judged, Status, worst


class Need(str, enum.Enum):
    HARD = "hard"
    SOFT = "soft"


#: By the name of a component, what it needs.
Needs = t.Mapping[str, t.Mapping[str, Need]]


class Fault(str, enum.Enum):
    NONE = "none"
    OWN = "own"
    INHERITED = "inherited"


@dataclass(frozen=True)
class Standing:
    """A component with all that it needs. ``causes``: the components whose own fault it is, by name."""

    status: Status
    own: Judged
    fault: Fault
    causes: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        if self.fault is Fault.INHERITED or (self.causes and self.own.status is Status.PASS):
            return f"because of {', '.join(self.causes)}"
        return self.own.reason


def ordered(needs: Needs) -> tuple[str, ...]:
    """The components, each after all that it needs.

    :raises InputError: one that is not there is needed, or some need each other in a circle.
    """
    for name, others in needs.items():
        for other in others:
            if other not in needs:
                raise InputError(
                    f"{name} needs {other}, which is not there",
                    given=f"needs: {', '.join(others)}",
                    possible=", ".join(sorted(needs)),
                )
    done: list[str] = []
    for name in needs:
        _visit(name, needs, done, [])
    return tuple(done)


def _visit(name: str, needs: Needs, done: list[str], path: list[str]) -> None:
    if name in done:
        return
    if name in path:
        circle = [*path[path.index(name) :], name]
        raise InputError(
            "components need each other in a circle, so nobody could say whose fault it is",
            given=" → ".join(circle),
            next_step="take one of these needs away",
        )
    for other in needs[name]:
        _visit(other, needs, done, [*path, name])
    done.append(name)


def cascade(needs: Needs, order: t.Sequence[str], own: t.Mapping[str, Judged]) -> dict[str, Standing]:
    """Each component's standing.

    :param order: what :func:`ordered` gave for ``needs``, or a part of it that holds all that it needs.
    :param own: by component, its own status; endpoints and groups have :data:`PASSED` as theirs.
    """
    found: dict[str, Standing] = {}
    for name in order:
        found[name] = _standing(own[name], [(found[other], other, need) for other, need in needs[name].items()])
    return found


#: The own status of what is only the sum of what it needs.
PASSED = Judged(Status.PASS, "all that it needs is well")


def _standing(own: Judged, needed: t.Sequence[tuple[Standing, str, Need]]) -> Standing:
    status = worst([own.status, *(_inherited(standing.status, need) for standing, _name, need in needed)])
    bad = [(standing, name, need) for standing, name, need in needed if standing.status is not Status.PASS]
    explained = any(need is Need.HARD and not standing.status.serves for standing, _name, need in bad)
    causes = sorted({cause for standing, name, _need in bad for cause in standing.causes or (name,)})
    if own.status is Status.PASS:
        fault = Fault.NONE if status is Status.PASS else Fault.INHERITED
    else:
        fault = Fault.INHERITED if explained else Fault.OWN
    return Standing(status, own, fault, tuple(causes))


def _inherited(status: Status, need: Need) -> Status:
    return status if need is Need.HARD or status is Status.PASS else Status.WARN

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule judges a runbook by, handed in as a value. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import OWN, Runbook

_UNIT = re.compile(r"([\w-]+)(@[\w$%{}.*-]*)?\.(service|timer|socket)\b")


@dataclass(frozen=True)
class Module:
    """A module of this collection: its options, and whether it only looks."""

    options: frozenset[str]
    reads: bool


@dataclass(frozen=True)
class Beside:
    """The playbooks that lie beside a runbook's data, those of them that ask for an approval, and what they read."""

    playbooks: frozenset[str] = frozenset()
    approved: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()


#: Of a runbook whose data lie alone.
NOTHING = Beside()


@dataclass(frozen=True)
class Expression:
    """A test of a decision: the steps that it names; ``wrong``: why nobody can answer it."""

    steps: frozenset[str] = frozenset()
    wrong: str = ""


@dataclass(frozen=True)
class Known:
    """All that there is and that a runbook may name.

    ``approved``: playbooks that ask for an approval, where a site wants one. ``units``: as :func:`unit_names` gives
    them. ``links``: those that lead somewhere; ``unseen``: those of which nobody could say. ``expressions``: tests by
    their text.
    """

    alerts: frozenset[str]
    metrics: frozenset[str]
    components: frozenset[str]
    playbooks: frozenset[str]
    approved: frozenset[str]
    modules: Mapping[str, Module]
    variables: frozenset[str]
    units: frozenset[str]
    links: frozenset[str]
    unseen: frozenset[str] = frozenset()
    hazards: frozenset[str] = frozenset()
    expressions: Mapping[str, Expression] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a rule judges by, beside the runbook."""

    known: Known
    today: date
    runbooks: frozenset[str]
    beside: Beside = NOTHING

    @property
    def playbooks(self) -> frozenset[str]:
        """Those that a task may name; one of the runbook's folder goes before one of the collection."""
        return self.known.playbooks | self.beside.playbooks.intersection(OWN)


#: Where, what is wrong, what would be right.
Fault = tuple[str, str, str]
Rule = Callable[[Runbook, Context], Iterator[Fault]]


def unit_names(text: str) -> set[str]:
    """The systemd units that a text names, without their instances: ``postgresql@.service``."""
    return {f"{name}{'@' if instance else ''}.{kind}" for name, instance, kind in _UNIT.findall(text)}

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule judges a runbook by, handed in as a value. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook

_UNIT = re.compile(r"([\w-]+)(@[\w$%{}.*-]*)?\.(service|timer|socket)\b")


@dataclass(frozen=True)
class Module:
    """A module of this collection: its options, and whether it only looks."""

    options: frozenset[str]
    reads: bool


@dataclass(frozen=True)
class Known:
    """All that there is and that a runbook may name.

    ``approved``: playbooks that ask for an approval, where a site wants one. ``units``: as :func:`unit_names` gives
    them. ``links``: those that lead somewhere; ``unseen``: those of which nobody could say.
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


@dataclass(frozen=True)
class Context:
    """What a rule judges by, beside the runbook."""

    known: Known
    today: date
    runbooks: frozenset[str]


#: Where, what is wrong, what would be right.
Fault = tuple[str, str, str]
Rule = Callable[[Runbook, Context], Iterator[Fault]]


def unit_names(text: str) -> set[str]:
    """The systemd units that a text names, without their instances: ``postgresql@.service``."""
    return {f"{name}{'@' if instance else ''}.{kind}" for name, instance, kind in _UNIT.findall(text)}

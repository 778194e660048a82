# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quorum argument: a primary that nobody confirms to any more cannot acknowledge a commit. Pure.

It holds for commits that wait for their standbys. A session that lowered synchronous_commit, or an operator who empties
synchronous_standby_names on the old primary, is outside of it, and so are reads; whoever relies on it has to know that.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

#: ``ANY 1 (a, b)``, ``FIRST 2 (a, b)``, ``2 (a, b)`` or a plain list, which means ``FIRST 1``.
COUNTED = re.compile(r"(?:(?:ANY|FIRST)\s+)?(\d+)\s*\((.*)\)", re.IGNORECASE | re.DOTALL)
NAME = re.compile(r'\s*("(?:[^"]|"")*"|\*|[^\s,"()]+)\s*(?:,|$)')
EVERYBODY = "*"


@dataclass(frozen=True)
class Rule:
    """How many of whom have to confirm. Names are lower case, as PostgreSQL compares them without regard to case."""

    needed: int
    names: tuple[str, ...]


def parse(synchronous_standby_names: str) -> Rule | None:
    """The setting's value; None where it is empty, so that nobody is waited for.

    ``FIRST`` prefers some standbys and goes on with any that are connected, so both kinds need the same number.

    :raises InputError: it is no such value.
    """
    text = synchronous_standby_names.strip()
    if not text:
        return None
    counted = COUNTED.fullmatch(text)
    needed, listed = (int(counted[1]), counted[2]) if counted else (1, text)
    names, at = [], 0
    while at < len(listed):
        found = NAME.match(listed, at)
        if found is None:
            break
        names.append(_plain(found[1]))
        at = found.end()
    if at < len(listed) or not names or needed < 1 or listed.rstrip().endswith(","):
        raise InputError(
            "this is no value of synchronous_standby_names",
            given=synchronous_standby_names,
            possible='such as ANY 1 ("pg-a2", "repo-a-receiver")',
            next_step="give what SHOW synchronous_standby_names said on the old primary",
        )
    return Rule(needed, tuple(names))


def argue(
    old_primary: str, synchronous_standby_names: str, detached: t.Collection[str], candidate: str | None = None
) -> Check:
    """Can ``old_primary`` still get the confirmations that a commit waits for?

    :param detached: those that are proven to receive nothing from it any more.
    :param candidate: the member that is promoted next: its promotion is what detaches it, for good.
    """
    name = "fenced_by_quorum"
    rule = parse(synchronous_standby_names)
    if rule is None:
        return Check(name, Verdict.FAILED, f"{old_primary} waits for nobody: it can acknowledge commits alone")
    if EVERYBODY in rule.names:
        return Check(name, Verdict.UNKNOWN, f"any standby may confirm to {old_primary}, so nobody can count them")
    gone = {one.lower() for one in detached} | ({candidate.lower()} if candidate else set())
    left = sorted(set(rule.names) - gone)
    wanted = f"{old_primary} needs {rule.needed} of {', '.join(rule.names)}"
    if len(left) < rule.needed:
        who = (
            "nobody is"
            if not left
            else f"only {', '.join(left)} is"
            if len(left) == 1
            else f"only {', '.join(left)} are"
        )
        return Check(name, Verdict.PASSED, f"{wanted}; {who} left that could confirm")
    return Check(name, Verdict.UNKNOWN, f"{wanted}; {', '.join(left)} may still confirm")


def _plain(name: str) -> str:
    return (name[1:-1].replace('""', '"') if name.startswith('"') else name).lower()

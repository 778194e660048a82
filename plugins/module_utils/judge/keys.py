# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which key each backup needs, whether it is the one at hand, and whether escrow has it. Names of keys alone. Pure."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

#: Backups named in a reason.
SHOWN = 3


class Answer(t.Protocol):
    """What escrow said of a key: collect/escrow.Found, without the passphrase."""

    @property
    def verdict(self) -> Verdict: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class Wanted:
    """Labels of backups by the key that they need, oldest first; ``unnamed`` are those that do not say which."""

    keys: t.Mapping[str, tuple[str, ...]]
    unnamed: tuple[str, ...] = ()


def wanted(backups: t.Iterable[t.Mapping[str, t.Any]]) -> Wanted:
    """What a catalogue's backups need. One that never came to be (no label) needs nothing."""
    keys: dict[str, list[str]] = {}
    unnamed: list[str] = []
    for backup in backups:
        label, key = backup.get("label"), backup.get("key_id")
        if label:
            (keys.setdefault(str(key), []) if key else unnamed).append(str(label))
    return Wanted({key: tuple(labels) for key, labels in keys.items()}, tuple(unnamed))


def catalogue(text: str, present: t.Container[str] | None = None) -> list[dict[str, t.Any]]:
    """The backups of a catalogue file, those in ``present`` if that is given. A line cut off by a crash is left out."""
    found = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and (present is None or record.get("label") in present):
            found.append(record)
    return found


def in_escrow(needed: Wanted, answers: t.Mapping[str, Answer]) -> list[Check]:
    """One check for each key that a backup needs, and one for backups of which nobody knows what they need."""
    checks = []
    for key, labels in needed.keys.items():
        name = f"key {key}: escrow has it"
        answer = answers.get(key)
        verdict = Verdict.UNKNOWN if answer is None else answer.verdict
        said = "escrow was not asked" if answer is None else answer.reason
        checks.append(Check(name, verdict, f"{said}; {_needed_by(labels)}"))
    if needed.unnamed:
        said = f"the catalogue does not say which key {_some(needed.unnamed)} needs"
        checks.append(Check("each backup says which key it needs", Verdict.UNKNOWN, said))
    return checks


def demand(label: str, needed: str | None, given: t.Collection[str]) -> None:
    """The key that a backup needs is at hand. A backup that does not say is not refused: pgBackRest will tell.

    :raises InputError: another one is, or none.
    """
    if needed is None or needed in given:
        return
    at_hand = f"given is {', '.join(sorted(given))}" if given else "none is given"
    raise InputError(
        f"backup {label} needs key {needed}, {at_hand}",
        next_step=f"fetch key {needed} from escrow (module key_escrow)",
    )


def missing(needed: Wanted, given: t.Collection[str]) -> str:
    """Keys that backups need and that are not at hand, in words; empty if there are none."""
    told = [
        f"backup {_some(labels)} needs key {key}" for key, labels in needed.keys.items() if labels and key not in given
    ]
    if not told:
        return ""
    return f"{'; '.join(told)}; given is {', '.join(sorted(given)) or 'none'}"


def _needed_by(labels: t.Sequence[str]) -> str:
    return f"needed by {_some(labels)}"


def _some(labels: t.Sequence[str]) -> str:
    """The newest of them."""
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return ", ".join(labels[-SHOWN:]) + more

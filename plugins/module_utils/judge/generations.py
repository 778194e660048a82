# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generations of the repositories' key: where each keeps its files, and under which numbers pgBackRest knows it. Pure.

pgBackRest cannot encrypt a repository anew, so each key has repositories of its own:

    generation     directory            repositories
    the serving    <path> or            1 and 2, whichever generation it is
    another, n     <path>/key-<n>       10n + 1 and 10n + 2, n modulo 25: pgBackRest counts to 256

So the last digit always says which place a repository stands in: 1 the repository host, 2 the object store.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError

#: Generations that can be told apart by the numbers of their repositories.
SLOTS = 25
TENS = 10


@dataclass(frozen=True)
class Generation:
    """One key and its repositories: on the repository host, and in the object store.

    ``suffix`` is what a generation adds to a repository's path; ``written`` says whether WAL and backups go there, else
    it is only read.
    """

    generation: int
    passphrase: str
    repos: tuple[int, int]
    suffix: str
    written: bool

    def as_dict(self) -> dict[str, t.Any]:
        return {**asdict(self), "repos": list(self.repos)}


def serves(repo: int) -> bool:
    """Whether a repository belongs to the generation that is written to and restored from by default."""
    return repo < TENS


def place(repo: int) -> int:
    """1 for the repository host, 2 for the object store, whatever the generation."""
    return repo % TENS


def numbers(generation: int) -> tuple[int, int]:
    """The repositories of a generation that does not serve."""
    begin = TENS * ((generation - 1) % SLOTS + 1)
    return begin + 1, begin + 2


def suffix(generation: int) -> str:
    """Below the first one's directory: there the disk is mounted, and there the object store's permissions hold."""
    return "" if generation == 1 else f"/key-{generation}"


def generations(current: t.Any, passphrase: str, old: t.Mapping[t.Any, str], serving: t.Any = None) -> list[Generation]:
    """All generations, the serving one first, then the newest.

    :param current: number of the generation that ``passphrase`` belongs to.
    :param old: passphrases of earlier generations by their number.
    :param serving: the one that serves; during a rotation the one before ``current``, and both are written.
    :raises InputError: numbers or passphrases that cannot be right; no passphrase is told.
    """
    newest = _number(current, "resilience_cipher_generation")
    keys = {_number(number, "resilience_cipher_passphrases_old"): str(key) for number, key in old.items()}
    now = newest if serving in (None, "") else _number(serving, "pgbackrest_serving_generation")
    _demand_sound(newest, str(passphrase), keys, now)
    keys[newest] = str(passphrase)
    found = [
        Generation(
            generation=number,
            passphrase=key,
            repos=(1, 2) if number == now else numbers(number),
            suffix=suffix(number),
            written=number in (now, newest),
        )
        for number, key in keys.items()
    ]
    return sorted(found, key=lambda one: (one.generation != now, -one.generation))


def _demand_sound(newest: int, passphrase: str, old: t.Mapping[int, str], serving: int) -> None:
    if [number for number in old if number >= newest]:
        raise InputError(
            "resilience_cipher_passphrases_old holds a generation that is not older than resilience_cipher_generation",
            given=f"{sorted(old)} and {newest}",
            possible=f"numbers from 1 to {newest - 1}" if newest > 1 else "none",
        )
    if len({*old.values(), passphrase}) <= len(old):
        raise InputError(
            "two generations have the same passphrase, so nothing would be rotated",
            given=f"generations {', '.join(map(str, sorted({*old, newest})))}",
            next_step="make a new one (openssl rand -base64 48), and put it into escrow",
        )
    if serving not in (newest, max(old, default=newest)):
        raise InputError(
            f"generation {serving} cannot serve: it is neither the newest nor the one before",
            given=f"generations {sorted({*old, newest})}",
            next_step="put the passphrase of the generation before into resilience_cipher_passphrases_old",
        )
    slots = [numbers(number) for number in {*old, newest}]
    if len(set(slots)) < len(slots):
        raise InputError(
            f"more than {SLOTS} generations cannot be told apart",
            given=sorted({*old, newest}),
            next_step="retire the oldest with the playbook retire_repository_key",
        )


def _number(value: t.Any, name: str) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise InputError(f"{name}: a generation is a number from 1 on", given=value)
    return number

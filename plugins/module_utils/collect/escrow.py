# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passphrases from escrow, by the name of the key: a file of the control node, or a command that prints one.

What escrow yields is only believed when its name is the one that was asked for. Nothing here tells a passphrase in an
error: of a command that failed, its exit code and what it said on stderr are told, never its output.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.key_id import key_id

#: A command that names the key elsewhere would yield the same passphrase for each.
PLACE = "{key_id}"

#: Reads a file of the control node as Ansible does, a vault included.
Load = t.Callable[[str], t.Any]


@dataclass(frozen=True)
class Found:
    """What escrow said of one key. ``passphrase`` only where the verdict is passed."""

    key_id: str
    verdict: Verdict
    reason: str
    passphrase: str | None = None


def demand_escrow(escrow: t.Any) -> str | list[str]:
    """A file's path, or a command.

    :raises InputError: it is neither, or the command does not say where the key's name goes.
    """
    if isinstance(escrow, str) and escrow:
        return escrow
    if isinstance(escrow, list) and escrow and any(PLACE in str(word) for word in escrow):
        return [str(word) for word in escrow]
    raise InputError(
        "it is not said where the keys are kept in escrow",
        given=f"resilience_key_escrow={escrow!r}",
        possible=f"a file of the control node with passphrases by key id, or a command as a list with {PLACE} in it",
        next_step="set resilience_key_escrow: ['pass', 'show', 'resilience/{key_id}']",
    )


def fetch(escrow: str | list[str], name: str, run: Runner, load: Load, timeout: float) -> Found:
    """One key. Whoever cannot be asked leaves it unknown; who has no such key, or another one, has failed."""
    given = _from_command(escrow, name, run, timeout) if isinstance(escrow, list) else _from_file(escrow, name, load)
    if isinstance(given, Found):
        return given
    if not given:
        return Found(name, Verdict.FAILED, f"escrow has no key {name}")
    named = key_id(given)
    if named != name:
        return Found(name, Verdict.FAILED, f"escrow gives key {named} when it is asked for {name}")
    return Found(name, Verdict.PASSED, f"escrow gives key {name}", given)


def _from_command(words: t.Sequence[str], name: str, run: Runner, timeout: float) -> str | Found:
    argv = [word.replace(PLACE, name) for word in words]
    try:
        done = run(argv, timeout=timeout, check=False)
    except ResilienceError as error:
        return Found(name, Verdict.UNKNOWN, f"escrow could not be asked for key {name}: {error}")
    if done.rc != 0:
        said = (done.stderr.strip().splitlines() or [""])[-1][:200]
        return Found(name, Verdict.UNKNOWN, f"{argv[0]} ended with exit code {done.rc} for key {name}: {said}")
    return done.stdout.strip("\r\n")


def _from_file(path: str, name: str, load: Load) -> str | Found:
    try:
        content = load(path)
    # Whatever Ansible's loader raises: no such file, no vault password, no YAML.
    except Exception as error:  # noqa: BLE001
        return Found(name, Verdict.UNKNOWN, f"{path} cannot be read ({type(error).__name__})")
    if not isinstance(content, t.Mapping):
        return Found(name, Verdict.UNKNOWN, f"{path} holds no passphrases by key id")
    found = {str(key): value for key, value in content.items()}
    return str(found.get(name) or "")

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which evidence is open in this run of Ansible. Control node only.

Each run of Ansible has a temporary folder of its own, shared by its worker processes and removed at its end. A file
there names the open evidence, so every task of the run finds it whatever host it is for, and no other run does: neither
a fact cache nor a run that was killed can leave it behind.
"""

from __future__ import annotations

import contextlib
import json
import typing as t
from collections.abc import Iterator
from pathlib import Path

from ansible import constants

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle, write


def _pointer() -> Path:
    return _of_run("evidence")


def _of_run(name: str) -> Path:
    return Path(str(constants.DEFAULT_LOCAL_TMP)) / f"fraiseql.resilience.{name}"


def opened() -> Bundle | None:
    """The evidence that this run has open."""
    try:
        bundle = Bundle(Path(_pointer().read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    return bundle if bundle.path.is_dir() and not bundle.sealed else None


def needed() -> Bundle:
    """The open evidence.

    :raises InputError: there is none.
    """
    bundle = opened()
    if bundle is None:
        raise InputError(
            "no evidence is open in this run",
            next_step="make fraiseql.resilience.evidence with state=opened the first task of the operation",
        )
    return bundle


def remember(bundle: Bundle) -> None:
    write(_pointer(), str(bundle.path).encode("utf-8"))


@contextlib.contextmanager
def beside() -> Iterator[None]:
    """What the block opens stands beside the evidence that is open now, which is the open one again after it."""
    before = opened()
    try:
        yield
    finally:
        if before is not None:
            remember(before)


def hand_over(approved: t.Mapping[str, t.Any]) -> None:
    """Keep what was approved until the evidence of the operation is opened.

    Not in a variable: one of the command line goes before it, and could tell of approvals that nobody gave.

    :param approved: ``approvals`` as the report shows them; ``files``, texts by their name in the evidence.
    """
    write(_of_run("approved"), json.dumps(approved).encode("ascii"))


def handed_over() -> dict[str, t.Any]:
    """What :func:`hand_over` kept, once; else neither approvals nor files."""
    kept = _of_run("approved")
    try:
        approved: dict[str, t.Any] = json.loads(kept.read_bytes())
    except FileNotFoundError:
        return {"approvals": [], "files": {}}
    kept.unlink()
    return approved


def remember_drill(about: t.Mapping[str, t.Any]) -> None:
    """Keep what was approved with a drill, for what it does once its evidence is sealed."""
    write(_of_run("drill"), json.dumps(about).encode("ascii"))


def drill() -> dict[str, t.Any] | None:
    """What :func:`remember_drill` kept in this run."""
    try:
        about: dict[str, t.Any] = json.loads(_of_run("drill").read_bytes())
    except FileNotFoundError:
        return None
    return about

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module recovery_marker: written once, removed once, nothing in check mode."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.modules import recovery_marker

WRITTEN = "198.18.1.11\t00000002\t0/5000100\n198.18.1.11\t00000002\t0/5000148\n"
THERE = "0/5000100\t2026-01-01T00:00:00.000000Z\n"


@pytest.fixture
def descriptor(tmp_path: Path) -> str:
    path = tmp_path / "observer.json"
    gateway = {"host": "gate", "port": 6432, "database": "resilience"}
    path.write_text(
        json.dumps({"cluster": "c", "members": [], "gateway": gateway, "probe_user": "u", "pgpass": "/p", "ca": "/c"})
    )
    return str(path)


def ask(descriptor: str, *answers: str, check_mode: bool = False, **params: t.Any) -> tuple[dict[str, t.Any], int]:
    """The module's answer, and how often it asked the database."""
    left = list(answers)

    def run(argv: t.Sequence[str], **_options: t.Any) -> Completed:
        return Completed(tuple(argv), 0, left.pop(0), "", 0.0)

    spec = recovery_marker.argument_spec()
    given = {**{key: option.get("default") for key, option in spec.items()}, "name": "n", "descriptor": descriptor}
    answer = recovery_marker.act({**given, **params}, check_mode=check_mode, run=run)
    return answer, len(answers) - len(left)


def test_a_marker_is_written_and_its_position_told(descriptor: str) -> None:
    answer, asked = ask(descriptor, "", WRITTEN)
    assert (answer["changed"], asked) == (True, 2)
    assert answer["marker"] == {
        "name": "n", "present": True, "server": "198.18.1.11", "timeline": 2, "lsn_in_statement": "0/5000100",
        "lsn": "0/5000148",
    }  # fmt: skip


def test_a_marker_that_is_there_stays(descriptor: str) -> None:
    answer, asked = ask(descriptor, THERE)
    assert (answer["changed"], answer["marker"]["present"], asked) == (False, True, 1)
    assert "lsn" not in answer["marker"]


def test_a_marker_is_removed_once(descriptor: str) -> None:
    answer, asked = ask(descriptor, THERE, "", state="absent")
    assert (answer["changed"], answer["marker"]["present"], asked) == (True, False, 2)
    answer, asked = ask(descriptor, "", state="absent")
    assert (answer["changed"], asked) == (False, 1)


@pytest.mark.parametrize(("seen", "present"), [(THERE, True), ("", False)])
def test_looking_changes_nothing(descriptor: str, seen: str, present: bool) -> None:
    answer, asked = ask(descriptor, seen, state="reported")
    assert (answer["changed"], answer["marker"]["present"], asked) == (False, present, 1)


@pytest.mark.parametrize(("state", "seen"), [("present", ""), ("absent", THERE)])
def test_check_mode_tells_and_does_nothing(descriptor: str, state: str, seen: str) -> None:
    answer, asked = ask(descriptor, seen, state=state, check_mode=True)
    assert (answer["changed"], asked) == (True, 1)
    assert answer["marker"] == {"name": "n", "present": state == "present"}

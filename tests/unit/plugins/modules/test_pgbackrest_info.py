# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbackrest_info: one shape, and an error for what cannot be read."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import pgbackrest_info


def act(code: int, **given: t.Any) -> dict[str, t.Any]:
    def run(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        told = [{
            "name": "lab",
            "status": {"code": code, "message": "m", "lock": {"backup": {"held": False}}},
            "repo": [{"key": 1, "cipher": "aes-256-cbc", "status": {"code": code, "message": "bad certificate"}}],
            "db": [{"id": 1, "repo-key": 1, "system-id": 7711296582504245999, "version": "17"}],
        }]  # fmt: skip
        return Completed(tuple(argv), 0, "pgBackRest 2.55.1" if argv[-1] == "version" else json.dumps(told), "", 0.1)

    spec = pgbackrest_info.argument_spec()
    return pgbackrest_info.act(
        {name: option.get("default") for name, option in spec.items()} | {"stanza": "lab"} | given, run
    )


def test_a_system_identifier_keeps_all_its_digits() -> None:
    answer = act(0)
    assert answer["repositories"] == [
        {"repo": 1, "cipher": "aes-256-cbc", "code": 0, "message": "bad certificate",
         "system_id": "7711296582504245999", "version": "17"}
    ]  # fmt: skip
    assert (answer["version"], answer["changed"], answer["backups"]) == ("2.55.1", False, [])


def test_what_cannot_be_read_is_an_error_unless_only_a_report_is_wanted() -> None:
    with pytest.raises(UnknownError, match="bad certificate"):
        act(99)
    told = act(99, unreadable="report")
    assert told["repositories"][0]["code"] == 99
    assert told["verdict"] == "failed"
    assert told["checks"] == [
        {"name": "repository_1_can_be_read", "verdict": "failed",
         "reason": "repository 1 of stanza lab cannot be read: bad certificate"}
    ]  # fmt: skip
    assert (act(0)["verdict"], act(0)["checks"][0]["verdict"]) == ("passed", "passed")

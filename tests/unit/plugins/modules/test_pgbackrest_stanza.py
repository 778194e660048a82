# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbackrest_stanza: creates what is missing, refuses another cluster, proves that WAL arrives."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    RefusedError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.modules import pgbackrest_stanza


class Host:
    """A repository host: codes of its repositories, and the cluster that each holds."""

    def __init__(self, codes: dict[int, int], system_ids: dict[int, int] | None = None) -> None:
        self.codes = codes
        self.system_ids = system_ids or {n: 77 for n, code in codes.items() if code != 1}
        self.ran: list[str] = []
        self.check_fails = False
        self.locked = 0

    def __call__(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        verb = next(argument for argument in argv[1:] if not argument.startswith("-"))
        self.ran.append(verb)
        if verb == "stanza-create" and self.locked:
            self.locked -= 1
            raise CommandFailed("ended", argv=argv, rc=50, stderr="ERROR: [050]: unable to acquire lock on file")
        if verb == "check" and self.check_fails:
            raise CommandFailed("ended", argv=argv, rc=82, stderr="ERROR: [082]: WAL segment X was not archived before")
        told = [{
            "name": "lab",
            "status": {"code": max(self.codes.values()), "message": "m"},
            "repo": [{"key": n, "status": {"code": code, "message": "broken"}} for n, code in self.codes.items()],
            "db": [{"id": 1, "repo-key": n, "system-id": i, "version": "17"} for n, i in self.system_ids.items()],
        }]  # fmt: skip
        return Completed(tuple(argv), 0, json.dumps(told), "P00   WARN: pg3 is down\n" if verb == "check" else "", 1.5)

    def act(self, *, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
        spec = pgbackrest_stanza.argument_spec()
        params = {name: option.get("default") for name, option in spec.items()} | {"stanza": "lab"} | given
        return pgbackrest_stanza.act(params, check_mode=check_mode, run=self)


def test_a_missing_stanza_is_created_and_checked() -> None:
    host = Host({1: 1, 2: 1})
    answer = host.act()
    assert (answer["changed"], answer["created_in"], answer["checked"]) == (True, [1, 2], True)
    assert host.ran == ["info", "stanza-create", "check"]
    assert answer["warnings_told"] == ["pg3 is down"]


def test_an_archiving_primary_that_holds_the_lock_for_a_moment_is_waited_for() -> None:
    host = Host({1: 1, 2: 0})
    host.locked = 2
    assert host.act()["created_in"] == [1]
    assert host.ran == ["info", *["stanza-create"] * 3, "check"]


def test_a_lock_that_is_never_given_up_is_told() -> None:
    host = Host({1: 1, 2: 0})
    host.locked = 99
    with pytest.raises(CommandFailed, match="another pgBackRest process works on this stanza"):
        host.act(wait=0.3)


def test_one_that_is_there_is_only_checked() -> None:
    host = Host({1: 0, 2: 2})
    assert host.act()["changed"] is False and host.ran == ["info", "check"]


def test_check_mode_only_looks() -> None:
    host = Host({1: 0, 2: 1})
    assert host.act(check_mode=True)["created_in"] == [2] and host.ran == ["info"]


def test_a_stanza_of_another_cluster_is_refused_before_anything_is_done() -> None:
    host = Host({1: 0})
    with pytest.raises(RefusedError, match="another cluster"):
        host.act(system_id="78")
    with pytest.raises(RefusedError, match="two clusters"):
        Host({1: 0, 2: 0}, {1: 77, 2: 78}).act()
    assert host.ran == ["info"]


def test_a_repository_that_cannot_be_read_is_no_missing_stanza() -> None:
    host = Host({1: 0, 2: 99})
    with pytest.raises(UnknownError, match="repository 2"):
        host.act()
    assert host.ran == ["info"]


def test_a_member_creates_nothing() -> None:
    with pytest.raises(RefusedError, match="missing in repository 1"):
        Host({1: 1}).act(state="checked")


def test_wal_that_does_not_arrive_fails_and_says_whether_something_was_changed() -> None:
    host = Host({1: 1})
    host.check_fails = True
    with pytest.raises(CommandFailed, match="does not arrive") as caught:
        host.act()
    assert caught.value.changed is True

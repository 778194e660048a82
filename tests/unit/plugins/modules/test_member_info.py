# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a member's host tells, with its server running, stopped, masked, or half rebuilt."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import diverged, fencing, member, rejoin
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandFailed, InputError
from ansible_collections.fraiseql.resilience.plugins.modules import member_info

FIXTURES = Path(__file__).parents[1] / "module_utils" / "collect" / "fixtures"
CONTROL = (FIXTURES / "controldata-standby.txt").read_text(encoding="utf-8")


class Host:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "17" / "main"
        (self.data / "global").mkdir(parents=True)
        (self.data / "global" / "pg_control").touch()
        self.member = {
            "name": "pg-a1", "bin_dir": "/pg", "data_dir": str(self.data), "unit": "postgresql@17-main.service",
            "socket_dir": "/run/pg", "port": 5432, "os_user": "postgres",
        }  # fmt: skip
        self.server: str | None = "t"
        self.says = {"is-active": "active", "is-enabled": "enabled"}
        self.control = CONTROL

    def run(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        answer = ""
        if argv[0] == "systemctl":
            own = argv[2] == self.member["unit"]
            answer = self.says[argv[1]] if own else "inactive"
        elif argv[0] == "/pg/pg_controldata":
            answer = self.control
        elif self.server is None:
            raise CommandFailed("psql ended with exit code 2", argv=argv, rc=2)
        else:
            answer = self.server
        return Completed(tuple(argv), 0, answer + "\n", "", 0.0)

    def facts(self) -> dict[str, t.Any]:
        return member.facts(self.member, run=self.run)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(fencing, "MARK", tmp_path / "fenced")
    monkeypatch.setattr(rejoin, "STATE", tmp_path / "rejoin.json")
    monkeypatch.setattr(diverged, "FOLDER", tmp_path / "diverged")
    return Host(tmp_path)


@pytest.mark.parametrize(("answer", "role"), [("t", "standby"), ("f", "primary"), (None, None)])
def test_the_server_says_what_it_is_or_nobody_does(host: Host, answer: str | None, role: str | None) -> None:
    host.server = answer
    assert host.facts()["role"] == role


def test_a_stopped_and_masked_member_is_told_all_the_same(host: Host) -> None:
    host.server, host.says = None, {"is-active": "inactive", "is-enabled": "masked"}
    fencing.MARK.touch()
    facts = host.facts()
    assert facts["unit"] == {"name": "postgresql@17-main.service", "active": "inactive", "enabled": "masked"}
    assert facts["control"]["state"] == "in archive recovery"
    assert facts["left_over"]["fenced"] is True
    assert facts["free_bytes"] > 0


def test_what_was_left_over_is_told(host: Host) -> None:
    (host.data / "standby.signal").touch()
    (host.data / "backup_label").touch()
    (host.data.parent / "main.kept-20261123T102833Z").mkdir()
    (diverged.FOLDER / "20261123T091203Z").mkdir(parents=True)
    rejoin.STATE.write_text('{"begun": "rewind"}', encoding="utf-8")
    facts = host.facts()
    assert facts["signals"] == ["standby.signal", "backup_label"]
    assert facts["left_over"] == {
        "fenced": False,
        "promotion_armed": False,
        "demotion_armed": False,
        "rejoin_begun": "rewind",
        "kept_data": [str(host.data.parent / "main.kept-20261123T102833Z")],
        "diverged_wal": [str(diverged.FOLDER / "20261123T091203Z")],
    }


def test_no_data_and_unreadable_data_are_two_things(host: Host) -> None:
    host.control = "pg_controldata: error"
    assert host.facts()["control"]["state"] is None
    assert host.facts()["control"]["reason"]
    (host.data / "global" / "pg_control").unlink()
    assert host.facts()["control"] is None


def test_a_member_without_a_data_directory_has_room_all_the_same(host: Host) -> None:
    host.member["data_dir"] = str(host.data.parent / "other" / "place")
    assert host.facts()["free_bytes"] > 0


def test_a_host_that_is_no_member_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no member") as error:
        member_info.armed.member(str(tmp_path / "member.json"))
    assert error.value.next_step

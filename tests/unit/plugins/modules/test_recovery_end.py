# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module recovery_end: the end is proven by the history, or it is an error."""

from __future__ import annotations

import contextlib
import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import received_wal, recovery
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import recovery_end

FACTS = {
    "name": "pg-a1",
    "unit": "postgresql@17-main.service",
    "version": 17,
    "cluster_name": "main",
    "bin_dir": "/usr/lib/postgresql/17/bin",
    "data_dir": "/var/lib/postgresql/17/main",
    "socket_dir": "/var/run/postgresql",
    "port": 5432,
    "os_user": "postgres",
}


@pytest.fixture
def member(tmp_path: Path) -> recovery.Member:
    (tmp_path / "member.json").write_text(json.dumps(FACTS))
    return recovery_end.read_member(str(tmp_path / "member.json"))


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    def on(timeline: int, *, started: bool = True) -> None:
        monkeypatch.setattr(recovery, "start", lambda _member, run: started)
        monkeypatch.setattr(recovery, "await_end", lambda _member, timeout, run: None)
        monkeypatch.setattr(recovery, "timeline", lambda _member, run: timeline)
        monkeypatch.setattr(recovery, "read_history", lambda _member, _number: "1\t0/5000148\tbefore LSN 0/6000000\n")
        monkeypatch.setattr(recovery, "forget_target", lambda _member, run: ["recovery_target_lsn"] if started else [])

    return on


def test_a_recovery_is_never_in_patronis_hands(tmp_path: Path) -> None:
    facts = {**FACTS, "unit": "patroni.service", "server_unit": FACTS["unit"]}
    (tmp_path / "member.json").write_text(json.dumps(facts))
    assert recovery_end.read_member(str(tmp_path / "member.json")).unit == "postgresql@17-main.service"


def test_the_log_is_found_by_the_descriptor(member: recovery.Member) -> None:
    assert member.log_file == "/var/log/postgresql/postgresql-17-main.log"


@pytest.fixture(autouse=True)
def required(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an earlier run demanded."""
    monkeypatch.setattr(received_wal, "DELIVERED", tmp_path)
    (tmp_path / received_wal.REQUIRED).write_text('{"require_lsn": "0/5000148"}', encoding="utf-8")
    return tmp_path / received_wal.REQUIRED


@pytest.mark.parametrize(("target", "forgotten"), [("0/5000148", True), ("0/5000149", False)])
def test_what_was_demanded_is_forgotten_once_it_was_reached(
    member: recovery.Member, ended: t.Callable[..., None], required: Path, target: str, forgotten: bool
) -> None:
    ended(2)
    with contextlib.suppress(UnknownError):
        recovery_end.end_recovery(member, target, 1)
    assert required.exists() is not forgotten


def test_the_end_is_told_with_its_proof(member: recovery.Member, ended: t.Callable[..., None]) -> None:
    ended(2)
    result = recovery_end.end_recovery(member, "0/5000148", 1)
    assert (result["changed"], result["timeline"]) == (True, 2)
    assert result["ended_at"] == {"parent": 1, "lsn": "0/5000148", "reason": "before LSN 0/6000000"}
    assert result["forgotten"] == ["recovery_target_lsn"]


def test_an_end_before_the_target_is_an_error(member: recovery.Member, ended: t.Callable[..., None]) -> None:
    ended(2)
    with pytest.raises(UnknownError, match="before its target 0/5000149") as error:
        recovery_end.end_recovery(member, "0/5000149", 1)
    assert error.value.changed


def test_where_no_recovery_ended_no_target_was_reached(member: recovery.Member, ended: t.Callable[..., None]) -> None:
    ended(1, started=False)
    with pytest.raises(UnknownError, match="no recovery ended here") as error:
        recovery_end.end_recovery(member, "0/5000149", 1)
    assert not error.value.changed
    assert recovery_end.end_recovery(member, None, 1)["changed"] is False


def test_a_host_without_a_descriptor_says_so() -> None:
    with pytest.raises(InputError, match="descriptor"):
        recovery_end.read_member("/nowhere/member.json")

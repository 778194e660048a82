# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a data directory says while its server is down: output of PostgreSQL 17, and each way it can be unreadable."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import controldata
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandFailed, UnknownError

STANDBY = (Path(__file__).parent / "fixtures" / "controldata-standby.txt").read_text(encoding="utf-8")
MIB16 = 16 * 2**20


@pytest.fixture
def member(tmp_path: Path) -> dict[str, t.Any]:
    (tmp_path / "global").mkdir()
    (tmp_path / "global" / "pg_control").touch()
    (tmp_path / "pg_wal").mkdir()
    return {"name": "pg-a1", "bin_dir": "/usr/lib/postgresql/17/bin", "data_dir": str(tmp_path)}


def saying(stdout: str) -> t.Any:
    def run(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        assert argv[0] == "/usr/lib/postgresql/17/bin/pg_controldata"
        return Completed(tuple(argv), 0, stdout, "", 0.0)

    return run


def test_a_running_standby_is_read(member: dict[str, t.Any]) -> None:
    read = controldata.read(member, run=saying(STANDBY))
    assert read is not None
    assert read.state == "in archive recovery"
    assert read.shut_down is False
    assert read.system_id.isdigit()
    assert read.timeline == read.min_recovery_timeline == 7
    assert "/" in read.checkpoint_lsn
    assert read.min_recovery_lsn != "0/0"
    assert read.checksums is True
    assert read.wal_segment_bytes == MIB16


@pytest.mark.parametrize(
    ("state", "shut_down"),
    [
        ("shut down", True), ("shut down in recovery", True), ("shutting down", False), ("in crash recovery", False),
        ("in production", False), ("starting up", False),
    ],
)  # fmt: skip
def test_only_an_orderly_end_counts_as_shut_down(state: str, shut_down: bool) -> None:
    assert controldata.parse(STANDBY.replace("in archive recovery", state)).shut_down is shut_down


def test_checksums_that_are_off_are_seen() -> None:
    text = STANDBY.replace("Data page checksum version:           1", "Data page checksum version:           0")
    assert controldata.parse(text).checksums is False


def test_without_a_control_file_there_are_no_data(member: dict[str, t.Any]) -> None:
    (Path(member["data_dir"]) / "global" / "pg_control").unlink()
    assert controldata.read(member, run=saying(STANDBY)) is None


@pytest.mark.parametrize(
    "text", ["", "Database cluster state: in production\n", STANDBY.replace("TimeLineID:       7", "")]
)
def test_half_an_answer_is_unknown_never_a_guess(member: dict[str, t.Any], text: str) -> None:
    with pytest.raises(UnknownError) as error:
        controldata.read(member, run=saying(text))
    assert error.value.changed is False
    assert error.value.next_step


def test_a_broken_control_file_is_unknown(member: dict[str, t.Any]) -> None:
    def run(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        raise CommandFailed("pg_controldata ended with exit code 1", argv=argv, rc=1)

    with pytest.raises(UnknownError, match="cannot be read"):
        controldata.read(member, run=run)


def test_the_first_timeline_has_no_history(member: dict[str, t.Any]) -> None:
    assert controldata.own_history(member, 1) == []


def test_a_members_own_history_is_read(member: dict[str, t.Any]) -> None:
    path = Path(member["data_dir"]) / "pg_wal" / "00000002.history"
    path.write_text("1\t0/5000148\tno recovery target specified\n", encoding="utf-8")
    assert [(switch.parent, switch.lsn) for switch in controldata.own_history(member, 2)] == [(1, "0/5000148")]


def test_a_missing_history_is_unknown(member: dict[str, t.Any]) -> None:
    with pytest.raises(UnknownError, match="does not know its own history"):
        controldata.own_history(member, 3)


def test_wal_since_a_position_is_found_by_name(member: dict[str, t.Any]) -> None:
    names = [
        "000000010000000000000004", "000000010000000000000005", "000000010000000000000006",
        "000000010000000100000000", "000000020000000000000005.partial", "00000002.history", "archive_status",
    ]  # fmt: skip
    for name in names:
        (Path(member["data_dir"]) / "pg_wal" / name).touch()
    found = [path.name for path in controldata.segments_since(member, "0/5000148", MIB16)]
    assert found == [
        "000000010000000000000005", "000000010000000000000006", "000000010000000100000000",
        "000000020000000000000005.partial",
    ]  # fmt: skip


@pytest.mark.parametrize(("lsn", "there"), [("0/5FFFFFF", True), ("0/6000000", False)])
def test_the_last_byte_of_a_segment_counts(member: dict[str, t.Any], lsn: str, there: bool) -> None:
    (Path(member["data_dir"]) / "pg_wal" / "000000010000000000000005").touch()
    assert bool(controldata.segments_since(member, lsn, MIB16)) is there

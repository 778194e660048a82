# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A member comes back: what is run in which order, what each run leaves that is cut off, and what is kept."""

from __future__ import annotations

import json
import os
import struct
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import (
    demotion,
    diverged,
    fencing,
    rejoin,
    restore,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    CommandTimedOut,
    RefusedError,
    ResilienceError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.modules import rejoin as module

CONTROL = """\
Database system identifier:           77
Database cluster state:               {state}
Latest checkpoint location:           {checkpoint}
Latest checkpoint's TimeLineID:       1
Minimum recovery ending location:     {minimum}
Min recovery ending loc's timeline:   0
Bytes per WAL segment:                16777216
Data page checksum version:           1
"""
HISTORY = "1\t0/5000148\tno recovery target specified\n"


class Host:
    """A member's host: its commands are answered here, and written down in order."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "main"
        for part in ("global", "pg_wal"):
            (self.data / part).mkdir(parents=True)
        (self.data / "global" / "pg_control").touch()
        self.member = {
            "name": "pg-a1", "bin_dir": "/pg", "data_dir": str(self.data), "config_dir": "/etc/pg", "stanza": "lab",
            "unit": "postgresql@17-main.service", "socket_dir": "/run/pg", "port": 5432, "os_user": "postgres",
            "peers": [
                {"name": "pg-a1", "address": "a1", "port": 5432},
                {"name": "pg-a2", "address": "a2", "port": 5432},
            ],
        }  # fmt: skip
        self.descriptor = folder / "member.json"
        self.descriptor.write_text(json.dumps(self.member), encoding="utf-8")
        self.control = CONTROL.format(state="shut down", checkpoint="0/6000028", minimum="0/0")
        self.done: list[str] = []
        self.asked_primary: list[str] = []
        #: What the local server says once it runs; None: it does not.
        self.server: str | None = None
        self.after_start = "true|true|2|0/7000000"
        self.rewind_fails = False
        self.restore_helps = True
        self.told = ""
        self.reading_fails = False

    def read(self, program: str, argv: t.Sequence[str], stdin: str) -> str:
        """What is done to read what the member alone holds, and what it says."""
        if program == "systemctl":
            assert list(argv[1:]) == ["stop", "resilience-diverged.service"]
            return ""
        if program == "systemd-run":
            assert "listen_addresses=" in argv and "archive_mode=off" in argv
            assert not (self.data / "standby.signal").exists()
            assert not (self.data / "postmaster.pid").exists()
            self.done.append("read")
            if self.reading_fails:
                raise CommandFailed("systemd-run ended with exit code 1", argv=argv, rc=1)
            return ""
        if program == "pg_waldump":
            return self.told
        if "pg_database" in argv[-1]:
            return '{"5": "orders", "1": "template1"}'
        if "pg_relation_filenode" in stdin:
            assert "'{16384}'" in stdin
            return '{"16384": ["public", "t\'s"]}'
        assert 'FROM ONLY "public"."t\'s" t WHERE' in stdin and "'{740,741}'" in stdin
        return '{"row": 1}\n{"row": "\u2028"}\n'

    def run(self, argv: t.Sequence[str], **more: t.Any) -> Completed:
        program, command = Path(argv[0]).name, argv[-1]
        answer = ""
        if program in ("systemctl", "systemd-run", "pg_waldump") or diverged.SOCKET in argv:
            answer = self.read(program, argv, str(more.get("stdin")))
        elif program == "pg_controldata":
            answer = self.control
        elif program == "psql" and command == "IDENTIFY_SYSTEM":
            self.asked_primary.append(command)
            answer = "77|2|0/7000000|"
        elif program == "psql" and command.startswith("TIMELINE_HISTORY"):
            answer = f"00000002.history|{HISTORY}"
        elif program == "psql" and command == "CHECKPOINT":
            self.done.append("checkpoint")
        elif program == "psql":
            if self.server is None:
                raise CommandFailed("psql ended with exit code 2", argv=argv, rc=2)
            answer = self.server
        elif program == "pg_rewind":
            assert more["user"] == "postgres"
            assert not (self.data / "standby.signal").exists()
            assert not (self.data / "postmaster.pid").exists()
            assert rejoin.read_state() == {"begun": "rewind"}
            self.done.append("rewind")
            if self.rewind_fails:
                raise CommandFailed("pg_rewind ended with exit code 1", argv=argv, rc=1, stderr="no such file")
        else:
            raise AssertionError(f"unexpected: {argv}")
        return Completed(tuple(argv), 0, answer, "", 0.0)

    def given(self, **more: t.Any) -> dict[str, t.Any]:
        return {
            "primary": "pg-a2", "user": "resilience_replicator", "keep_diverged": True, "stop_timeout": 1.0,
            "rewind_timeout": 1.0, "restore_timeout": 1.0, "follow_timeout": 0.0, "descriptor": str(self.descriptor),
            **more,
        }  # fmt: skip

    def segment(self, name: str, *, ahead: bool = False) -> None:
        """A segment that holds WAL of its own name, or one that was made ahead from an older one."""
        start = (int(name[8:16], 16) << 32) + int(name[16:24], 16) * 2**24
        page = struct.pack("=HHIQ", 0xD116, 0, 1, 2**24 if ahead else start)
        (self.data / "pg_wal" / name).write_bytes(page + b"\0" * 48)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)

    def fence(_member: t.Any, _timeout: float, *, check_mode: bool, run: t.Any) -> tuple[bool, str]:
        assert not check_mode
        made.done.append("masked")
        made.server = None
        return True, "masked"

    def unfence(_member: t.Any, *, check_mode: bool, run: t.Any) -> tuple[bool, str]:
        assert not check_mode
        made.done.append("unmasked")
        return True, "unmasked"

    def start(_member: t.Any, _timeout: float, *, check_mode: bool, run: t.Any) -> bool:
        assert not check_mode
        made.done.append("started as standby")
        made.server = made.after_start
        return True

    def restored(_place: t.Any, request: restore.Request, *_more: t.Any) -> dict[str, t.Any]:
        assert request.type == "standby"
        assert (request.delta, request.keep) == (True, False)
        assert rejoin.read_state() == {"begun": "restore"}
        made.done.append("restored")
        if made.restore_helps:
            made.after_start = "true|true|2|0/7000000"
        return {}

    monkeypatch.setattr(fencing, "by_host", fence)
    monkeypatch.setattr(fencing, "undo_host", unfence)
    monkeypatch.setattr(demotion, "start_as_standby", start)
    monkeypatch.setattr(restore, "restore", restored)
    monkeypatch.setattr(restore, "STATE", tmp_path / "restore.json")
    monkeypatch.setattr(rejoin, "STATE", tmp_path / "rejoin.json")
    monkeypatch.setattr(diverged, "FOLDER", tmp_path / "diverged")
    monkeypatch.setattr(rejoin.shutil, "chown", lambda *_given: None)
    monkeypatch.setattr(module, "run", made.run)
    return made


def test_a_diverged_primary_is_rewound_while_it_is_masked(host: Host) -> None:
    answer = module.act(host.given(), check_mode=False)
    assert host.done == ["masked", "checkpoint", "rewind", "unmasked", "started as standby"]
    assert (answer["changed"], answer["method"], answer["fork_lsn"]) == (True, "rewind", "0/5000148")
    assert (host.data / "standby.signal").exists(), "it could start as a primary"
    assert rejoin.read_state() == {}


def test_a_primary_that_is_busy_for_a_moment_is_asked_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejoin, "POLL_SECONDS", 0.01)
    busy = [True]

    def run(argv: t.Sequence[str], **more: t.Any) -> Completed:
        if argv[-1] == "IDENTIFY_SYSTEM" and "started as standby" in host.done and busy:
            busy.clear()
            raise CommandTimedOut("psql gave no answer within 5 s and was killed", argv=argv)
        return host.run(argv, **more)

    monkeypatch.setattr(module, "run", run)
    assert module.act(host.given(follow_timeout=30.0), check_mode=False)["method"] == "rewind"
    assert not busy and "restored" not in host.done


def test_wal_that_it_alone_holds_is_kept_before_it_is_overwritten(host: Host) -> None:
    host.segment("000000010000000000000004")
    host.segment("000000010000000000000005")
    host.segment("000000010000000000000006")
    host.segment("000000010000000000000007", ahead=True)
    kept = Path(module.act(host.given(), check_mode=False)["kept"])
    assert sorted(path.name for path in kept.iterdir()) == ["diverged.json", "rows.jsonl", "wal"]
    assert sorted(path.name for path in (kept / "wal").iterdir()) == [
        "000000010000000000000005", "000000010000000000000006",
    ]  # fmt: skip
    about = json.loads((kept / "diverged.json").read_text(encoding="utf-8"))
    assert (about["fork_lsn"], about["control"]["checkpoint_lsn"]) == ("0/5000148", "0/6000028")
    assert (about["transactions"], about["rows"]) == (0, 0)
    assert "read" not in host.done, "there was nothing to read"


TOLD = """\
rmgr: Heap  len (rec/tot): 61/61, tx: 740, lsn: 0/5000150, prev 0/5000148, desc: INSERT off: 2, flags: 0x00, \
blkref #0: rel 1663/5/16384 blk 0
rmgr: Transaction len (rec/tot): 50/50, tx: 740, lsn: 0/5000190, prev 0/5000150, \
desc: COMMIT 2026-11-23 15:37:27.703421 UTC; subxacts: 741
"""


def test_rows_that_it_alone_holds_are_kept_while_it_is_masked(host: Host) -> None:
    host.segment("000000010000000000000005")
    host.told = TOLD
    answer = module.act(host.given(), check_mode=False)
    assert host.done == ["masked", "read", "checkpoint", "rewind", "unmasked", "started as standby"]
    assert (answer["kept_transactions"], answer["kept_rows"]) == (1, 2)
    kept = Path(answer["kept"])
    assert (kept / "rows.jsonl").read_text(encoding="utf-8") == '{"row": 1}\n{"row": "\u2028"}\n'
    about = json.loads((kept / "diverged.json").read_text(encoding="utf-8"))
    assert about["tables"] == {"orders.public.t's": {"inserted": 1}}
    assert about["last_commit"] == "2026-11-23 15:37:27.703421 UTC"


def test_a_killed_servers_number_that_is_another_process_now_stops_nothing(host: Host) -> None:
    (host.data / "postmaster.pid").write_text(f"{os.getpid()}\n{host.data}\n", encoding="utf-8")
    host.segment("000000010000000000000005")
    host.told = TOLD
    assert module.act(host.given(), check_mode=False)["kept_rows"] == 2
    assert host.done == ["masked", "read", "checkpoint", "rewind", "unmasked", "started as standby"]


def test_a_record_that_lies_on_the_border_of_two_portions_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_waldump tells what begins and ends within its portion."""
    monkeypatch.setattr(diverged, "WINDOW_BYTES", 100)
    line = "rmgr: Transaction len (rec/tot): 60/60, tx: {0}, lsn: 0/{1:X}, prev 0/0, desc: COMMIT x"
    records = [(number, 0x5000148 + number * 60) for number in range(1, 40)]

    def waldump(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        begin, end = (int(word.rpartition("/")[2], 16) for word in argv if word.startswith(("--start=", "--end=")))
        lines = [line.format(*one) for one in records if begin <= one[1] and one[1] + 60 <= end]
        return Completed(tuple(argv), 0, "\n".join(lines), "", 0.0)

    monkeypatch.setattr(diverged, "stretches", lambda *_given: [(1, 0x5000148, 0x5000148 + 41 * 60)])
    found = diverged.told(host.member, "0/5000148", [host.data / "x"], 2**24, run=waldump)
    assert sorted(found.committed) == list(range(1, 40))


def test_each_timeline_is_read_up_to_the_segment_in_which_the_next_one_begins() -> None:
    names = [f"00000001000000000000000{number}" for number in (4, 5, 6)]
    newer = [f"00000002000000000000000{number}" for number in (6, 7)]
    first, border, last = 0x5000148, 0x6000000, 0x8000000
    assert diverged.stretches(first, [*names, *newer], 2**24) == [(1, first, border), (2, border, last)]
    assert diverged.stretches(0x6000200, [names[2], f"{names[2]}.partial", *newer], 2**24) == [(2, 0x6000200, last)]


def test_rows_that_cannot_be_read_are_not_overwritten(host: Host) -> None:
    host.segment("000000010000000000000005")
    host.told, host.reading_fails = TOLD, True
    with pytest.raises(UnknownError, match="cannot be read") as error:
        module.act(host.given(), check_mode=False)
    assert "keep_diverged=false" in str(error.value.next_step)
    assert host.done == ["masked", "read"]


def test_no_room_for_that_wal_is_a_refusal_before_anything_is_overwritten(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.segment("000000010000000000000006")
    monkeypatch.setattr(diverged.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 1})())
    with pytest.raises(RefusedError, match="no room"):
        module.act(host.given(), check_mode=False)
    assert host.done == []


def test_wal_is_not_kept_where_that_is_not_wanted(host: Host) -> None:
    host.segment("000000010000000000000006")
    assert module.act(host.given(keep_diverged=False), check_mode=False)["kept"] is None


def test_what_cannot_be_rewound_is_restored_and_says_why(host: Host) -> None:
    host.rewind_fails = True
    answer = module.act(host.given(), check_mode=False)
    assert host.done == [
        "masked", "checkpoint", "rewind", "masked", "restored", "unmasked", "started as standby",
    ]  # fmt: skip
    assert answer["method"] == "restore"
    assert "no such file" in answer["tried"][0]


def test_a_run_that_was_cut_off_in_a_rewind_goes_on_with_a_restore(host: Host) -> None:
    rejoin.STATE.write_text('{"begun": "rewind"}', encoding="utf-8")
    host.segment("000000010000000000000006")
    answer = module.act(host.given(), check_mode=False)
    assert host.done == ["masked", "restored", "unmasked", "started as standby"]
    assert (answer["method"], answer["kept"]) == ("restore", None)
    assert rejoin.read_state() == {}


def test_a_restore_that_was_cut_off_is_seen_by_the_missing_control_file_alone(host: Host) -> None:
    rejoin.STATE.write_text('{"begun": "restore"}', encoding="utf-8")
    host.control = CONTROL.format(state="shut down", checkpoint="0/50000D0", minimum="0/0")
    assert module.act(host.given(), check_mode=True)["method"] == "start"
    (host.data / "global" / "pg_control").unlink()
    assert module.act(host.given(), check_mode=True)["method"] == "restore"


def test_a_crash_just_after_a_promotion_is_not_taken_for_a_standbys(host: Host) -> None:
    """The control file keeps the end of the recovery until the first checkpoint."""
    host.control = CONTROL.format(state="in production", checkpoint="0/4000028", minimum="0/5000000")
    assert module.act(host.given(), check_mode=True)["method"] == "rewind"
    host.control = CONTROL.format(state="in archive recovery", checkpoint="0/4000028", minimum="0/5000000")
    assert module.act(host.given(), check_mode=True)["method"] == "start"


def test_one_that_was_shut_down_in_time_is_only_started(host: Host) -> None:
    host.control = CONTROL.format(state="shut down", checkpoint="0/50000D0", minimum="0/0")
    answer = module.act(host.given(), check_mode=False)
    assert host.done == ["masked", "unmasked", "started as standby"]
    assert answer["method"] == "start"


def test_one_that_is_started_and_does_not_stream_is_restored(host: Host) -> None:
    host.control = CONTROL.format(state="shut down in recovery", checkpoint="0/40000D0", minimum="0/5000148")
    host.after_start = "true|false|1|0/5000148"
    answer = module.act(host.given(), check_mode=False)
    assert answer["method"] == "restore"
    assert answer["tried"][0].startswith("start: ")


def test_one_that_does_not_even_stream_after_a_restore_is_an_error(host: Host) -> None:
    host.after_start, host.restore_helps = "true|false|1|0/5000148", False
    with pytest.raises(UnknownError) as error:
        module.act(host.given(), check_mode=False)
    assert error.value.changed is True


def test_a_streaming_standby_is_left_alone(host: Host) -> None:
    (host.data / "pg_wal" / "00000002.history").write_text(HISTORY, encoding="utf-8")
    host.server = "true|true|2|0/7000000"
    answer = module.act(host.given(), check_mode=False)
    assert (answer["changed"], answer["method"], host.done) == (False, "none", [])


def test_one_that_follows_by_itself_is_waited_for_and_not_changed(host: Host) -> None:
    host.server = "true|false|1|0/5000000"
    answer = module.act(host.given(), check_mode=False)
    assert (answer["changed"], answer["method"]) == (False, "wait")
    assert "masked" not in host.done


def test_a_member_without_data_is_left_to_the_roles_before_it_can_log_in_anywhere(host: Host) -> None:
    (host.data / "global" / "pg_control").unlink()
    answer = module.act(host.given(), check_mode=False)
    assert (answer["changed"], answer["method"]) == (False, "build")
    assert host.asked_primary == []


def test_a_host_that_is_no_member_yet_is_left_to_the_roles(host: Host) -> None:
    answer = module.act(host.given(descriptor="/nowhere/member.json"), check_mode=False)
    assert (answer["changed"], answer["method"]) == (False, "build")


@pytest.mark.parametrize("state", ["shut down", "in production"])
def test_check_mode_says_what_would_be_done_and_does_nothing(host: Host, state: str) -> None:
    host.control = CONTROL.format(state=state, checkpoint="0/6000028", minimum="0/0")
    before = sorted(host.data.rglob("*"))
    answer = module.act(host.given(), check_mode=True)
    assert (answer["changed"], answer["method"], host.done) == (True, "rewind", [])
    assert sorted(host.data.rglob("*")) == before


@pytest.mark.parametrize("name", ["pg-a1", "pg-z9"])
def test_nobody_follows_itself_or_a_stranger(host: Host, name: str) -> None:
    with pytest.raises(RefusedError) as error:
        module.act(host.given(primary=name), check_mode=False)
    assert error.value.possible == "pg-a2"


def test_a_primary_that_does_not_answer_stops_it_before_anything_is_changed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: t.Sequence[str], **more: t.Any) -> Completed:
        if argv[-1] == "IDENTIFY_SYSTEM":
            raise CommandFailed("psql ended with exit code 2", argv=argv, rc=2, stderr="timeout expired")
        return host.run(argv, **more)

    monkeypatch.setattr(module, "run", run)
    with pytest.raises(ResilienceError) as error:
        module.act(host.given(), check_mode=False)
    assert error.value.changed is False
    assert "timeout expired" in error.value.message
    assert host.done == []

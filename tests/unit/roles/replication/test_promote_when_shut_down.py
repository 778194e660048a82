# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The armed standby: what makes it promote itself, and above all what does not."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[4] / "roles/replication/files/promote_when_shut_down.py"

RUNNING = "rmgr: Heap len (rec/tot): 59/59, tx: 745, lsn: 0/05000028, prev 0/05000000, desc: INSERT off: 3\n"
SHUTDOWN = (
    "rmgr: XLOG len (rec/tot): 114/114, tx: 0, lsn: 0/05000100, prev 0/05000028,"
    " desc: CHECKPOINT_SHUTDOWN redo 0/05000100; tli 1; prev tli 1\n"
)
SWITCH = "rmgr: XLOG len (rec/tot): 24/24, tx: 0, lsn: 0/05000180, prev 0/05000100, desc: SWITCH \n"
ONLINE = SHUTDOWN.replace("CHECKPOINT_SHUTDOWN", "CHECKPOINT_ONLINE")


def load_program(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    """The program, with a psycopg2 that these tests fill in."""
    fake = ModuleType("psycopg2")
    fake.Error = type("Error", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "psycopg2", fake)
    monkeypatch.syspath_prepend(PROGRAM.parent)
    spec = importlib.util.spec_from_file_location("promote_when_shut_down", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Standby:
    """A server as its socket shows it: each look at the stream takes the next of ``looks``, the last one for good.

    A look is (streaming, replayed LSN).
    """

    def __init__(self, looks: t.Sequence[tuple[bool, str]], *, in_recovery: bool = True, promotes: bool = True) -> None:
        self.looks = list(looks)
        self.in_recovery = in_recovery
        self.promotes = promotes
        self.slots: list[str] = []
        self.promoted = False
        self.checkpoints = 0
        self.autocommit = False
        self.row: tuple[t.Any, ...] | None = None

    def cursor(self) -> Standby:
        return self

    @property
    def look(self) -> tuple[bool, str]:
        return self.looks[0]

    def execute(self, sql: str, values: t.Sequence[t.Any] | None = None) -> None:
        if "pg_create_physical" in sql:
            assert values is not None
            self.slots.append(values[0])
        elif sql.startswith("SELECT pg_promote"):
            self.promoted = True
            self.in_recovery = self.in_recovery and not self.promotes
            self.row = (True,)
        elif "received_tli" in sql:
            self.row = (self.in_recovery, self.look[0], 1)
        elif sql.startswith("SELECT EXISTS"):
            self.row = self.look
            if len(self.looks) > 1:
                self.looks.pop(0)
        elif "wal_segment_size" in sql:
            self.row = ("0/5000000",)
        elif "pg_last_wal_replay_lsn() >" in sql:
            assert values is not None
            self.row = (number(self.look[1]) > number(values[0]),)
        elif "pg_current_wal_lsn() END" in sql:
            self.row = (self.in_recovery, None if self.in_recovery else "0/5000200")
        else:
            self.execute_as_primary(sql)

    def execute_as_primary(self, sql: str) -> None:
        assert not self.in_recovery
        if "pg_walfile_name" in sql:
            self.row = (2,)
        elif sql == "CHECKPOINT":
            self.checkpoints += 1
        else:
            raise AssertionError(sql)

    def fetchone(self) -> tuple[t.Any, ...] | None:
        return self.row


def number(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class Ran(t.NamedTuple):
    code: int
    state: dict[str, t.Any]
    standby: Standby
    dumped_from: list[str]
    #: Whether the archive was to be left alone, at each look at the WAL.
    left_alone: list[bool]


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Iterator[t.Callable[..., Ran]]:
    """Run the program on a standby whose WAL, seen from an LSN on, reads as ``dump``; the first ``slow`` looks at it
    take too long."""

    def run(
        standby: Standby, dump: str | dict[str, str], deadline: float = 60.0, archive: int = 1, slow: int = 0
    ) -> Ran:
        program = load_program(monkeypatch)
        sys.modules["psycopg2"].connect = lambda **_words: standby  # type: ignore[attr-defined]
        asked: list[str] = []
        left_alone: list[bool] = []
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))

        def called(argv: list[str], **_options: t.Any) -> t.Any:
            if argv[0] == program.RESTORE_WAL:
                assert argv[1] == "00000002.history"
                return type("Done", (), {"returncode": archive})
            left_alone.append((tmp_path / "archive-exhausted").exists())
            begin = argv[argv.index("--start") + 1]
            asked.append(begin)
            if len(asked) <= slow:
                raise subprocess.TimeoutExpired(argv, 5)
            out = dump if isinstance(dump, str) else dump.get(begin, "")
            return type("Done", (), {"stdout": out})

        monkeypatch.setattr(program.subprocess, "run", called)
        descriptor = tmp_path / "member.json"
        member = {
            "name": "pg-a2", "peers": [{"name": name} for name in ("pg-a1", "pg-a2", "pg-B1")], "port": 5432,
            "receivers": ["repo-a-receiver"], "socket_dir": "/run", "bin_dir": "/bin", "data_dir": "/data",
        }  # fmt: skip
        descriptor.write_text(json.dumps(member), "utf-8")
        state = tmp_path / "promotion.json"
        words = [
            "program",
            "--token=T",
            f"--deadline={deadline}",
            f"--descriptor={descriptor}",
            f"--state-file={state}",
        ]
        monkeypatch.setattr(sys, "argv", words)
        code = program.main()
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("promotion.json.")] == []
        return Ran(code, json.loads(state.read_text("utf-8")), standby, asked, left_alone)

    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)


def test_it_promotes_once_the_shutdown_is_the_last_record_and_replayed(arm: t.Callable[..., Ran]) -> None:
    ran = arm(Standby([(True, "0/5000028"), (True, "0/5000028"), (False, "0/5000178")]), RUNNING + SHUTDOWN)
    assert ran.code == 0
    assert ran.standby.promoted
    assert ran.state["state"] == "promoted"
    assert (ran.state["token"], ran.state["timeline"], ran.state["promote_lsn"]) == ("T", 2, "0/5000200")
    assert [event["name"] for event in ran.state["events"]] == ["armed", "shutdown_replayed", "promoted"]
    moments = [event["monotonic_ns"] for event in ran.state["events"]]
    assert moments == sorted(moments)


def test_the_archive_is_asked_for_the_next_timeline_before_anybody_waits(arm: t.Callable[..., Ran]) -> None:
    ran = arm(Standby([(True, "0/5000028"), (False, "0/5000178")]), SHUTDOWN)
    assert ran.left_alone == [True]


@pytest.mark.parametrize("archive", [0, 255], ids=["the next timeline is taken", "no answer"])
def test_without_that_answer_postgresql_asks_itself(arm: t.Callable[..., Ran], archive: int) -> None:
    ran = arm(Standby([(True, "0/5000028"), (False, "0/5000178")]), SHUTDOWN, archive=archive)
    assert ran.state["state"] == "promoted"
    assert ran.left_alone == [False]


def test_slots_for_all_others_are_there_before_it_can_be_primary(arm: t.Callable[..., Ran]) -> None:
    ran = arm(Standby([(True, "0/5000028"), (False, "0/5000178")]), SHUTDOWN)
    assert ran.standby.slots == ["pg_a1", "pg_b1", "repo_a_receiver"]


@pytest.mark.parametrize(
    "dump",
    [RUNNING, RUNNING + ONLINE, SHUTDOWN + RUNNING, SHUTDOWN + SWITCH, ""],
    ids=["primary died", "checkpoint of a running primary", "it ran on", "more came", "no record"],
)
def test_anything_else_at_the_end_promotes_nobody(arm: t.Callable[..., Ran], dump: str) -> None:
    ran = arm(Standby([(True, "0/5000028"), (False, "0/5000300")]), dump, deadline=1.0)
    assert ran.dumped_from, "it was looked at"
    assert not ran.standby.promoted
    assert (ran.code, ran.state["state"]) == (1, "expired")


def test_a_shutdown_that_is_received_and_not_replayed_is_waited_for(arm: t.Callable[..., Ran]) -> None:
    received = [(True, "0/5000028"), (False, "0/5000100")]
    assert arm(Standby(received), SHUTDOWN, deadline=1.0).state["state"] == "expired"
    late = [(True, "0/5000028"), (False, "0/5000100"), (False, "0/5000100"), (False, "0/5000178")]
    assert arm(Standby(late), SHUTDOWN).state["state"] == "promoted"


def test_a_primary_that_streams_is_left_alone(arm: t.Callable[..., Ran]) -> None:
    ran = arm(Standby([(True, "0/5000178")]), SHUTDOWN, deadline=1.0)
    assert not ran.standby.promoted
    assert ran.dumped_from == []
    assert ran.state["reason"]


def test_a_shutdown_replayed_before_the_stream_ended_is_found_from_the_segments_begin(
    arm: t.Callable[..., Ran],
) -> None:
    """Nothing can be read from the end of WAL on: it is read again from where its segment begins."""
    ran = arm(Standby([(True, "0/5000178"), (False, "0/5000178")]), {"0/5000000": RUNNING + SHUTDOWN})
    assert ran.state["state"] == "promoted"
    assert ran.dumped_from == ["0/5000178", "0/5000000"]


@pytest.mark.parametrize(
    ("standby", "reason"),
    [
        (Standby([(False, "0/5000028")], in_recovery=False), "it is no standby"),
        (Standby([(False, "0/5000028")]), "it does not stream"),
    ],
    ids=["primary", "cut off"],
)
def test_what_can_not_be_armed_says_why(arm: t.Callable[..., Ran], standby: Standby, reason: str) -> None:
    ran = arm(standby, SHUTDOWN)
    assert (ran.code, ran.state["state"]) == (1, "failed")
    assert reason in ran.state["reason"]
    assert not standby.promoted and standby.slots == []


def test_a_promotion_that_does_not_end_is_no_success(arm: t.Callable[..., Ran]) -> None:
    ran = arm(Standby([(True, "0/5000028"), (False, "0/5000178")], promotes=False), SHUTDOWN)
    assert (ran.code, ran.state["state"]) == (1, "failed")


def test_told_to_stop_it_disarms(monkeypatch: pytest.MonkeyPatch, arm: t.Callable[..., Ran]) -> None:
    class Stopped(Standby):
        def execute(self, sql: str, values: t.Sequence[t.Any] | None = None) -> None:
            super().execute(sql, values)
            if sql.startswith("SELECT EXISTS"):
                os.kill(os.getpid(), signal.SIGTERM)

    ran = arm(Stopped([(True, "0/5000028")]), SHUTDOWN)
    assert (ran.code, ran.state["state"]) == (0, "disarmed")
    assert not ran.standby.promoted


def test_told_to_stop_while_it_promotes_it_does_not_say_that_it_was_disarmed(arm: t.Callable[..., Ran]) -> None:
    class TooLate(Standby):
        def execute(self, sql: str, values: t.Sequence[t.Any] | None = None) -> None:
            super().execute(sql, values)
            if sql.startswith("SELECT pg_promote"):
                os.kill(os.getpid(), signal.SIGTERM)

    ran = arm(TooLate([(True, "0/5000028"), (False, "0/5000178")]), SHUTDOWN)
    assert (ran.code, ran.state["state"], ran.standby.checkpoints) == (0, "promoted", 1)


def test_told_to_stop_just_before_its_last_checkpoint_it_stays_promoted(
    monkeypatch: pytest.MonkeyPatch, arm: t.Callable[..., Ran]
) -> None:
    monkeypatch.syspath_prepend(PROGRAM.parent)
    state = importlib.import_module("armed_state")
    listen, times = state.raise_when_told, iter((False, True))

    def told_at_once() -> None:
        listen()
        if next(times):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(state, "raise_when_told", told_at_once)
    ran = arm(Standby([(True, "0/5000028"), (False, "0/5000178")]), SHUTDOWN)
    assert (ran.code, ran.state["state"], ran.standby.checkpoints) == (0, "promoted", 0)


def test_a_look_at_the_wal_that_takes_too_long_is_taken_again(arm: t.Callable[..., Ran]) -> None:
    ran = arm(Standby([(True, "0/5000028"), (False, "0/5000178")]), SHUTDOWN, slow=2)
    assert (ran.state["state"], len(ran.dumped_from)) == ("promoted", 3)


def test_a_checkpoint_that_is_cut_off_leaves_it_promoted(arm: t.Callable[..., Ran]) -> None:
    class CutOff(Standby):
        def execute(self, sql: str, values: t.Sequence[t.Any] | None = None) -> None:
            super().execute(sql, values)
            if sql == "CHECKPOINT":
                os.kill(os.getpid(), signal.SIGTERM)

    ran = arm(CutOff([(True, "0/5000028"), (False, "0/5000178")]), SHUTDOWN)
    assert (ran.code, ran.state["state"], ran.standby.checkpoints) == (0, "promoted", 1)


def test_a_server_that_goes_away_is_told(arm: t.Callable[..., Ran]) -> None:
    class Gone(Standby):
        def execute(self, sql: str, values: t.Sequence[t.Any] | None = None) -> None:
            if sql.startswith("SELECT EXISTS"):
                raise sys.modules["psycopg2"].Error("server closed the connection unexpectedly\n")  # type: ignore[attr-defined]
            super().execute(sql, values)

    ran = arm(Gone([(True, "0/5000028")]), SHUTDOWN)
    assert (ran.code, ran.state["state"], ran.state["reason"]) == (
        1,
        "failed",
        "server closed the connection unexpectedly",
    )

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fence is proven, or it is an error: nothing between."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import fencing
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    CommandTimedOut,
    InputError,
    UnknownError,
)

ON, FAILED, OFF = 0, 1, 2


class Agent:
    """A fence agent whose host is on, until it is told off, if it obeys. An exception instead of a code is raised."""

    def __init__(self, status: int | Exception = ON, *, off: int | Exception = 0, after: int | Exception = OFF) -> None:
        self.says: dict[str, int | Exception] = {"status": status, "off": off}
        self.after = after
        self.ran: list[tuple[list[str], str]] = []

    def __call__(self, argv: t.Sequence[str], *, timeout: float, stdin: str | None = None, **_: t.Any) -> Completed:
        assert timeout > 0
        assert stdin is not None
        self.ran.append((list(argv), stdin))
        action = stdin.splitlines()[0].removeprefix("action=")
        answer = self.says[action]
        if action == "off":
            self.says["status"] = self.after
        if isinstance(answer, Exception):
            raise answer
        return Completed(tuple(argv), answer, "", "", 0.0)

    @property
    def actions(self) -> list[str]:
        return [stdin.splitlines()[0].removeprefix("action=") for _argv, stdin in self.ran]


@pytest.fixture
def agent_path(tmp_path: Path) -> str:
    path = tmp_path / "fence_test"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def by_agent(runner: Agent, path: str, *, check_mode: bool = False, **options: str) -> tuple[bool, str]:
    return fencing.by_agent(fencing.Agent(path, options), "pg-a1", 5, check_mode=check_mode, run=runner)


def test_the_agent_switches_off_and_confirms(agent_path: str) -> None:
    runner = Agent()
    assert by_agent(runner, agent_path) == (True, "the fence agent fence_test says that pg-a1 is off")
    assert runner.actions == ["status", "off", "status"]


def test_a_host_that_is_off_is_left_alone(agent_path: str) -> None:
    runner = Agent(OFF)
    changed, proof = by_agent(runner, agent_path)
    assert (changed, runner.actions) == (False, ["status"])
    assert "is off" in proof


def test_off_without_confirmation_is_no_fence(agent_path: str) -> None:
    for after in (ON, FAILED):
        with pytest.raises(UnknownError, match=f"its status with {after}") as error:
            by_agent(Agent(after=after), agent_path)
        assert error.value.changed


def test_what_counts_is_the_status_and_not_how_off_ended(agent_path: str) -> None:
    assert by_agent(Agent(off=FAILED), agent_path)[0]
    assert by_agent(Agent(FAILED), agent_path)[0]


@pytest.mark.parametrize("error", [CommandTimedOut("it was killed"), CommandFailed("it cannot be started")])
def test_an_agent_that_does_not_answer_proves_nothing(agent_path: str, error: Exception) -> None:
    with pytest.raises(UnknownError, match="not proven") as before:
        by_agent(Agent(error), agent_path)
    assert not before.value.changed
    for runner in (Agent(off=error), Agent(after=error)):
        with pytest.raises(UnknownError, match="not proven"):
            by_agent(runner, agent_path)


def test_check_mode_only_asks(agent_path: str) -> None:
    runner = Agent()
    changed, proof = by_agent(runner, agent_path, check_mode=True)
    assert (changed, runner.actions) == (True, ["status"])
    assert "would switch pg-a1 off" in proof
    with pytest.raises(UnknownError):
        by_agent(Agent(FAILED), agent_path, check_mode=True)


def test_a_secret_reaches_the_agent_on_stdin_alone(agent_path: str) -> None:
    runner = Agent()
    by_agent(runner, agent_path, password="s3cret", ip="192.0.2.7")
    for argv, stdin in runner.ran:
        assert argv == [agent_path]
        assert "password=s3cret\nip=192.0.2.7\n" in stdin
    with pytest.raises(UnknownError) as error:
        by_agent(Agent(after=ON), agent_path, password="s3cret")
    assert "s3cret" not in str(error.value.as_result())


@pytest.mark.parametrize(
    "options",
    [{"plug": "a\naction=on"}, {"a\nb": "1"}, {"a=b": "1"}, {"plug": "a\r"}, {"action": "status"}, {" option": "on"}],
)
def test_options_cannot_tell_the_agent_something_else(agent_path: str, options: dict[str, str]) -> None:
    runner = Agent()
    with pytest.raises(InputError) as error:
        by_agent(runner, agent_path, **options)
    assert runner.ran == []
    assert error.value.next_step


def test_an_agent_is_found_by_its_name(agent_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(fencing, "AGENT_PATHS", (str(Path(agent_path).parent),))
    assert fencing.installed("fence_test") == agent_path
    assert fencing.installed(agent_path) == agent_path
    with pytest.raises(InputError, match="no such fence agent") as error:
        fencing.installed("fence_other")
    assert "fence-agents" in str(error.value.next_step)


def test_system_folders_are_searched_too() -> None:
    assert "/usr/sbin" in fencing.AGENT_PATHS


# From within ---------------------------------------------------------------------------------------------------------


CONTROLDATA = "pg_control version number:            1700\nDatabase cluster state:               shut down\n"


class Host:
    """systemd and the processes of a member, and how far they obey."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.data_dir = folder / "data"
        self.other = folder / "other"
        for path in (self.proc, self.data_dir, self.other):
            path.mkdir()
        self.member = {
            "name": "pg-a1",
            "unit": "postgresql@17-main.service",
            "data_dir": str(self.data_dir),
            "bin_dir": "/usr/lib/postgresql/17/bin",
            "port": 5433,
            "socket_dir": str(folder),
        }
        self.masks: set[str] = set()
        self.stops = True
        self.paused = False
        self.pg_ctl_stops = True
        self.dies = True
        self.masks_fail: set[str] = set()
        self.listening = "LISTEN 0 400 0.0.0.0:5433"
        self.hangs_up = True
        self.ran: list[str] = []
        (self.proc / "uptime").write_text("1 1")

    def process(self, pid: int, command: str, cwd: Path) -> None:
        (self.proc / str(pid)).mkdir()
        (self.proc / str(pid) / "status").write_text(f"Name:\t{command}\nUmask:\t0077\nState:\tS (sleeping)\n")
        (self.proc / str(pid) / "cwd").symlink_to(cwd)

    def end(self) -> None:
        for entry in self.proc.iterdir():
            cwd = entry / "cwd"
            if cwd.is_symlink() and cwd.readlink() == self.data_dir:
                cwd.unlink()

    def __call__(self, argv: t.Sequence[str], *, timeout: float, **_more: t.Any) -> Completed:
        assert timeout > 0
        words = [word for word in argv if word != self.member["unit"]]
        command = " ".join(words[1:]) if words[0] == "systemctl" else Path(words[0]).name
        self.ran.append(command)
        stdout, rc = "", 0
        if command in self.masks_fail:
            raise CommandFailed("systemctl ended with exit code 1", rc=1)
        if command in ("mask", "mask --runtime"):
            self.masks.add(command)
        elif command in ("unmask", "unmask --runtime"):
            self.masks.discard(command.removeprefix("un"))
        elif command == "is-enabled":
            stdout, rc = ("masked\n", 1) if self.masks else ("enabled\n", 0)
        elif command in ("stop", "pg_ctl", "kill --signal=SIGKILL"):
            self._stop(command)
        elif command in ("ss", "pg_controldata"):
            stdout = self.sockets(argv) if command == "ss" else CONTROLDATA
        return Completed(tuple(argv), rc, stdout, "", 0.0)

    def _stop(self, command: str) -> None:
        if command == "stop" and not self.stops:
            raise CommandTimedOut("systemctl gave no answer within 5 s and was killed")
        if command == "pg_ctl" and not self.pg_ctl_stops:
            raise CommandFailed("pg_ctl ended with exit code 1", rc=1)
        if (command == "stop" and not self.paused) or command == "pg_ctl" or (self.dies and "KILL" in command):
            self.end()

    def sockets(self, argv: t.Sequence[str]) -> str:
        assert argv[-1] == f":{self.member['port']}"
        if "--kill" in argv and self.hangs_up:
            self.listening = ""
        return self.listening

    def fence(self, *, check_mode: bool = False) -> tuple[bool, str]:
        return fencing.by_host(self.member, 5, check_mode=check_mode, run=self)

    def undo(self, *, check_mode: bool = False) -> tuple[bool, str]:
        return fencing.undo_host(self.member, check_mode=check_mode, run=self)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)
    host.process(17, "postgres", host.data_dir)
    host.process(18, "postgres", host.other)
    host.process(19, "bash", host.data_dir)
    monkeypatch.setattr(fencing, "PROC", host.proc)
    monkeypatch.setattr(fencing, "MARK", tmp_path / "fenced")
    monkeypatch.setattr(fencing, "VANISH_SECONDS", 0.1)
    return host


def test_a_member_is_marked_masked_and_stopped_in_this_order(host: Host) -> None:
    changed, proof = host.fence()
    assert changed
    assert "control file says 'shut down'" in proof
    assert fencing.MARK.exists()
    assert [one for one in host.ran if one not in ("is-enabled", "pg_controldata")] == [
        "mask",
        "kill --signal=SIGINT --kill-whom=main",
        "stop",
    ]


def test_patroni_is_told_to_stop_once(host: Host) -> None:
    host.member |= {"unit": "patroni.service", "patroni": {"port": 8009}}
    assert host.fence()[0]
    assert [one for one in host.ran if one not in ("is-enabled", "pg_controldata")] == ["mask", "stop"]


@pytest.mark.parametrize("stops", [True, False])
def test_what_a_paused_patroni_leaves_running_is_stopped_after_it(host: Host, stops: bool) -> None:
    """A paused Patroni ends without its PostgreSQL."""
    host.member |= {
        "unit": "patroni.service",
        "server_unit": "postgresql@17-main.service",
        "patroni": {"port": 8009},
        "os_user": "postgres",
    }
    host.paused, host.pg_ctl_stops = True, stops
    assert host.fence()[0]
    assert host.ran.index("stop") < host.ran.index("pg_ctl")
    assert ("kill --signal=SIGKILL" in host.ran) is not stops


def test_a_second_fence_changes_nothing(host: Host) -> None:
    host.fence()
    host.ran.clear()
    changed, proof = host.fence()
    assert not changed
    assert "does not run" in proof
    assert host.ran == ["is-enabled"]


def test_a_fence_whose_mask_is_gone_is_laid_again(host: Host) -> None:
    host.fence()
    host.masks.clear()
    assert host.fence()[0]
    assert host.masks == {"mask"}


def test_check_mode_leaves_the_member_alone(host: Host) -> None:
    assert host.fence(check_mode=True) == (True, "PostgreSQL would be stopped and masked on pg-a1")
    assert host.ran == ["is-enabled"] or host.ran == []
    assert not fencing.MARK.exists()


@pytest.mark.parametrize("mask", ["SigPnd:\t0000000000000100", "ShdPnd:\t0000000000000100\nSigPnd:\t0000000000000000"])
def test_what_waits_for_storage_that_stands_still_ends_with_it(host: Host, mask: str) -> None:
    host.stops = host.dies = False
    (host.proc / "17" / "status").write_text(f"Name:\tpostgres\nState:\tD (disk sleep)\n{mask}\n")
    socket = Path(host.member["socket_dir"], ".s.PGSQL.5433")
    socket.touch()
    changed, proof = host.fence()
    assert changed
    assert not socket.exists()
    assert "1 killed processes are left that wait for its storage, to end then, its port is closed" in proof
    assert not host.fence()[0]


def test_a_port_that_cannot_be_closed_is_told(host: Host) -> None:
    host.stops = host.dies = host.hangs_up = False
    (host.proc / "17" / "status").write_text("Name:\tpostgres\nState:\tD (disk sleep)\nSigPnd:\t0000000000000100\n")
    assert "its port is still open" in host.fence()[1]


@pytest.mark.parametrize(
    "status",
    [
        "State:\tD (disk sleep)\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000004000",
        "State:\tS (sleeping)\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000000",
    ],
)
def test_what_may_go_on_once_storage_does_is_no_fence(host: Host, status: str) -> None:
    host.stops = host.dies = False
    (host.proc / "17" / "status").write_text(f"Name:\tpostgres\n{status}\n")
    with pytest.raises(UnknownError, match="of its PostgreSQL still run 17"):
        host.fence()


def test_what_does_not_stop_is_killed(host: Host) -> None:
    host.stops = False
    assert host.fence()[0]
    assert "kill --signal=SIGKILL" in host.ran


def test_what_survives_is_named(host: Host) -> None:
    host.stops = host.dies = False
    with pytest.raises(UnknownError, match="still run 17") as error:
        host.fence()
    assert error.value.changed
    assert "agent" in str(error.value.next_step)


def test_a_postmaster_that_systemd_does_not_know_is_no_fence(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "end", lambda: None)
    with pytest.raises(UnknownError, match="still run 17"):
        host.fence()


def test_a_mask_that_the_disk_does_not_take_lasts_until_the_next_boot(host: Host) -> None:
    host.masks_fail = {"mask"}
    assert host.fence()[0]
    assert host.masks == {"mask --runtime"}


def test_without_any_mask_nothing_is_proven(host: Host) -> None:
    host.masks_fail = {"mask", "mask --runtime"}
    with pytest.raises(UnknownError, match="not proven") as error:
        host.fence()
    assert error.value.changed


def test_a_full_disk_does_not_keep_a_member_from_being_fenced(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fencing, "MARK", tmp_path / "missing" / "fenced")
    changed, proof = host.fence()
    assert changed
    assert "could not be marked" in proof


def test_a_fence_is_taken_away_once(host: Host) -> None:
    host.fence()
    assert host.undo(check_mode=True) == (True, "pg-a1 would not be fenced")
    assert fencing.MARK.exists()
    assert host.undo() == (True, "pg-a1 is not fenced")
    assert not fencing.MARK.exists()
    assert host.masks == set()
    assert host.undo() == (False, "pg-a1 is not fenced")


def test_what_the_root_of_a_container_may_not_look_at_is_known_by_its_unit(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_path: Path) -> Path:
        raise PermissionError

    for pid, given, unit in ((17, "", "postgresql@17-main.service"), (18, "/other", "postgresql@15-old.service")):
        (host.proc / str(pid) / "cmdline").write_text(f"postgres\0-D\0{given}\0")
        (host.proc / str(pid) / "cgroup").write_text(f"0::/system.slice/{unit}\n")
    monkeypatch.setattr(Path, "readlink", denied)
    assert fencing._processes(host.member) == [17]
    (host.proc / "18" / "cmdline").write_text(f"postgres\0-D\0{host.data_dir}\0")
    assert fencing._processes(host.member) == [17, 18]


def test_a_zombie_holds_nothing(host: Host) -> None:
    (host.proc / "17" / "status").write_text("Name:\tpostgres\nState:\tZ (zombie)\n")
    assert fencing._processes(host.member) == []

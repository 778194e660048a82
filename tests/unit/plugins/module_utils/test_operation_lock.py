# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run was killed, and what it began on a host works on: the next run waits for it, and never works beside it."""

from __future__ import annotations

import fcntl
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import operation_lock
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError

#: Before the tests have one of their own.
DIRECTORY = operation_lock.DIRECTORY
MODULES = "ansible_collections.fraiseql.resilience.plugins.modules"
WORKS = """
import sys
from pathlib import Path
from ansible_collections.fraiseql.resilience.plugins.module_utils import command, operation_lock
operation_lock.DIRECTORY = Path(sys.argv[1])
script = "cd $1 && touch begun && while [ ! -e go ]; do sleep 0.05; done && touch ended"
with operation_lock.alone("data", "rejoin", wait=0):
    command.run(["sh", "-c", script, "sh", sys.argv[1]], timeout=60)
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(operation_lock, "DIRECTORY", tmp_path / "state")
    return tmp_path / "state"


def working(directory: Path) -> subprocess.Popen[bytes]:
    """A module that works until it is let :func:`go`; what it runs has begun."""
    directory.mkdir(exist_ok=True)
    process = subprocess.Popen([sys.executable, "-c", WORKS, str(directory)])
    end = time.monotonic() + 60
    while not (directory / "begun").exists():
        assert time.monotonic() < end and process.poll() is None, "it never began"
        time.sleep(0.02)
    return process


def go(directory: Path) -> None:
    (directory / "go").touch()


@pytest.fixture
def soon(directory: Path) -> t.Iterator[t.Callable[[], None]]:
    """Lets it go in a moment, at which somebody waits for it, and in any case."""
    timer = threading.Timer(0.5, go, [directory])
    yield timer.start
    timer.cancel()
    if directory.exists():
        go(directory)


def test_the_next_one_waits_until_the_one_before_has_ended(directory: Path, soon: t.Callable[[], None]) -> None:
    process = working(directory)
    soon()
    with operation_lock.alone("data", "rejoin", wait=60):
        assert (directory / "ended").exists()
        assert process.wait(timeout=60) == 0


def test_what_a_killed_module_began_is_waited_for_too(directory: Path, soon: t.Callable[[], None]) -> None:
    process = working(directory)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    soon()
    with operation_lock.alone("data", "rejoin", wait=60):
        assert (directory / "ended").exists()


@pytest.mark.usefixtures("soon")
def test_waiting_in_vain_names_who_works(directory: Path) -> None:
    process = working(directory)
    with (
        pytest.raises(RefusedError, match=r"has not ended for 0\.3 s") as error,
        operation_lock.alone("data", "promotion", wait=0.3),
    ):
        pytest.fail("both work")
    assert f"Given: rejoin, process {process.pid}, since 2" in error.value.as_result()["msg"]
    go(directory)
    assert process.wait(timeout=60) == 0


def test_a_lock_is_no_ones_once_the_work_is_done_and_other_subjects_are_free(directory: Path) -> None:
    for _time in range(2):
        with operation_lock.alone("data", "rejoin", wait=0), operation_lock.alone("repository", "rejoin", wait=0):
            pass


def test_looking_locks_nothing(directory: Path) -> None:
    with operation_lock.alone("data", "rejoin", wait=0), operation_lock.alone("data", "look", wait=0, needed=False):
        assert len(list(directory.iterdir())) == 1


def test_a_disk_that_is_full_keeps_nobody_from_taking_over() -> None:
    """Nor one that is frozen: nothing of a lock is on a disk."""
    assert Path("/run") in DIRECTORY.parents


class Ended(Exception):
    pass


class Module:
    """Stands in for AnsibleModule: the parameters' defaults, and how it ended."""

    given: t.ClassVar[dict[str, t.Any]] = {}
    said: t.ClassVar[dict[str, t.Any]] = {}

    def __init__(self, argument_spec: dict[str, t.Any], **_more: t.Any) -> None:
        self.params = {name: option.get("default") for name, option in argument_spec.items()} | self.given
        self.check_mode = bool(self.params.pop("check_mode", False))

    def fail_json(self, **said: t.Any) -> None:
        type(self).said = said
        raise Ended

    exit_json = fail_json


CHANGING = [
    ("rejoin", "data", {"primary": "pg-a2", "restore_timeout": 0.1}),
    ("pgbackrest_restore", "data", {"timeout": 0.1}),
    *(("promotion", "data", {"state": state, "timeout": 0.1}) for state in ("armed", "disarmed", "promoted")),
    *(("demotion", "data", {"state": state, "timeout": 0.1}) for state in ("armed", "disarmed", "standby", "resumed")),
    ("pgbackrest_repository", "repository", {"stanza": "orders", "state": "present"}),
    *(
        ("received_wal", "received-wal", {"state": state})
        for state in ("set_aside", "detached", "attached", "delivered")
    ),
]
FREE = [
    ("rejoin", "data", {"primary": "pg-a2", "check_mode": True}),
    ("promotion", "data", {"state": "awaited", "token": "t", "timeout": 0.1}),
    ("demotion", "data", {"state": "awaited", "token": "t", "timeout": 0.1}),
    ("pgbackrest_repository", "repository", {"stanza": "orders", "state": "lost"}),
    ("received_wal", "received-wal", {"state": "measured", "timeline": 1, "lsn": "0/1"}),
]


def said(name: str, subject: str, given: dict[str, t.Any], directory: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a module answers while another one works on the subject."""
    module = importlib.import_module(f"{MODULES}.{name}")
    for wait in ("REFILL_SECONDS", "WAIT_SECONDS"):
        if hasattr(module, wait):
            monkeypatch.setattr(module, wait, 0.1)
    monkeypatch.setattr(module, "AnsibleModule", Module)
    monkeypatch.setattr(Module, "given", given)
    directory.mkdir(exist_ok=True)
    with (directory / f"{subject}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Ended):
            module.main()
    return str(Module.said.get("msg"))


@pytest.mark.parametrize(("name", "subject", "given"), CHANGING, ids=str)
def test_a_module_that_changes_data_waits(
    name: str, subject: str, given: dict[str, t.Any], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "another operation works on" in said(name, subject, given, directory, monkeypatch)


@pytest.mark.parametrize(("name", "subject", "given"), FREE, ids=str)
def test_what_changes_no_data_or_cannot_wait_does_not(
    name: str, subject: str, given: dict[str, t.Any], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "another operation" not in said(name, subject, given, directory, monkeypatch)

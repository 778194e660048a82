# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are armed: their own token, their own words, and no word taken from an earlier arming."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    InputError,
    RefusedError,
    UnknownError,
)


class Systemd:
    """A host whose armed program says ``says`` once it is started."""

    def __init__(self, state_file: Path, says: dict[str, t.Any] | None, active: str = "inactive") -> None:
        self.state_file, self.says, self.active = state_file, says, active
        self.ran: list[list[str]] = []

    def __call__(self, argv: t.Sequence[str], *, timeout: float, **_more: t.Any) -> Completed:
        assert timeout > 0
        self.ran.append(list(argv))
        self.patience = timeout
        if argv[0] == "systemd-run":
            self.active = "active"
            if self.says is not None:
                self.state_file.write_text(json.dumps(self.says))
        elif argv[1] == "stop":
            self.active = "inactive"
        return Completed(tuple(argv), 0, f"{self.active}\n", "", 0.0)

    @property
    def verbs(self) -> list[str]:
        return [argv[0] if argv[0] == "systemd-run" else argv[1] for argv in self.ran]


def word(state: str, token: str = "T", reason: str = "") -> dict[str, t.Any]:
    return {"state": state, "token": token, "reason": reason, "events": [{"name": state}]}


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> armed.Armed:
    monkeypatch.setattr(armed, "ARM_SECONDS", 0.1)
    return armed.Armed("resilience-test.service", "/usr/local/lib/program.py", str(tmp_path / "state.json"))


def systemd(unit: armed.Armed, says: dict[str, t.Any] | None, active: str = "inactive") -> Systemd:
    return Systemd(Path(unit.state_file), says, active)


def test_arming_starts_the_program_with_an_outer_deadline(unit: armed.Armed) -> None:
    host = systemd(unit, word("armed"))
    assert armed.arm(unit, "T", 60, "postgres", run=host)["events"] == [{"name": "armed"}]
    assert host.verbs == ["is-active", "systemd-run"]
    assert "--property=RuntimeMaxSec=210" in host.ran[-1]
    assert "--property=TimeoutStopSec=150" in host.ran[-1], "else one whose moment has come is killed on its way"
    assert host.ran[-1][-3:] == ["/usr/local/lib/program.py", "--token=T", "--deadline=60"]


def test_what_else_a_program_needs_to_know_it_is_told(unit: armed.Armed) -> None:
    host = systemd(unit, word("armed"))
    armed.arm(unit, "T", 60, "postgres", ["--candidate=pg-a2"], run=host)
    assert host.ran[-1][-2:] == ["--deadline=60", "--candidate=pg-a2"]


def test_what_was_armed_before_is_disarmed_first(unit: armed.Armed) -> None:
    host = systemd(unit, word("armed"), "active")
    armed.arm(unit, "T", 60, "postgres", run=host)
    assert host.verbs == ["is-active", "stop", "systemd-run"]


def test_a_program_that_cannot_be_armed_says_why(unit: armed.Armed) -> None:
    with pytest.raises(RefusedError, match="it does not stream") as error:
        armed.arm(unit, "T", 60, "postgres", run=systemd(unit, word("failed", reason="it does not stream")))
    assert error.value.possible
    assert error.value.next_step


@pytest.mark.parametrize("says", [None, word("armed", token="another")])
def test_a_program_that_says_nothing_of_this_token_is_stopped_again(
    unit: armed.Armed, says: dict[str, t.Any] | None
) -> None:
    host = systemd(unit, says)
    with pytest.raises(UnknownError) as error:
        armed.arm(unit, "T", 60, "postgres", run=host)
    assert host.verbs[-1] == "stop"
    assert "journalctl" in str(error.value.next_step)


def test_the_word_of_an_earlier_arming_is_never_taken_for_this_one(unit: armed.Armed) -> None:
    Path(unit.state_file).write_text(json.dumps(word("armed")))
    with pytest.raises(UnknownError):
        armed.arm(unit, "T", 60, "postgres", run=systemd(unit, None))


def test_who_disarms_waits_for_a_program_whose_moment_has_come(unit: armed.Armed) -> None:
    """Another one told it to stop before; it stops its primary first, and lays down that this is none any more."""
    host = systemd(unit, None, active="deactivating")
    assert armed.disarm(unit, run=host) is True
    assert host.verbs[-1] == "stop" and host.patience > armed.GRACE_SECONDS


def test_one_that_ends_by_itself_meanwhile_is_disarmed(unit: armed.Armed) -> None:
    class Ended(Systemd):
        def __call__(self, argv: t.Sequence[str], *, timeout: float, **more: t.Any) -> Completed:
            done = super().__call__(argv, timeout=timeout, **more)
            if "stop" in argv:
                raise CommandFailed("ended", argv=argv, rc=5, stderr="Unit resilience-test.service not loaded.")
            return done

    assert armed.disarm(unit, run=Ended(Path(unit.state_file), None, "active")) is False


def test_one_that_cannot_be_stopped_is_told(unit: armed.Armed) -> None:
    class Stuck(Systemd):
        def __call__(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
            if "stop" in argv:
                raise CommandFailed("ended", argv=argv, rc=1, stderr="Access denied")
            return Completed(tuple(argv), 0, "active\n", "", 0.0)

    with pytest.raises(CommandFailed):
        armed.disarm(unit, run=Stuck(Path(unit.state_file), None, "active"))


def test_disarming_twice_changes_once(unit: armed.Armed) -> None:
    host = systemd(unit, None, "active")
    assert armed.disarm(unit, run=host) is True
    assert armed.disarm(unit, run=host) is False


def test_the_end_is_the_one_that_was_wanted(unit: armed.Armed) -> None:
    Path(unit.state_file).write_text(json.dumps(word("promoted")))
    assert armed.await_end(unit, "T", "promoted", 0.1)["state"] == "promoted"


@pytest.mark.parametrize("state", ["expired", "disarmed"])
def test_an_end_that_changed_nothing_is_a_refusal(unit: armed.Armed, state: str) -> None:
    Path(unit.state_file).write_text(json.dumps(word(state, reason="too late")))
    with pytest.raises(RefusedError, match="too late") as error:
        armed.await_end(unit, "T", "promoted", 0.1)
    assert not error.value.changed
    assert error.value.next_step


def test_a_failure_on_the_way_is_unknown_and_says_so(unit: armed.Armed) -> None:
    Path(unit.state_file).write_text(json.dumps(word("failed", reason="still in recovery")))
    with pytest.raises(UnknownError, match="still in recovery") as error:
        armed.await_end(unit, "T", "promoted", 0.1)
    assert error.value.changed


@pytest.mark.parametrize("content", [None, word("armed"), word("promoted", token="another")])
def test_nobody_is_waited_for_for_ever(unit: armed.Armed, content: dict[str, t.Any] | None) -> None:
    if content is not None:
        Path(unit.state_file).write_text(json.dumps(content))
    with pytest.raises(UnknownError, match="in vain"):
        armed.await_end(unit, "T", "promoted", 0.05)


@pytest.mark.parametrize("content", [None, "{"])
def test_a_host_that_is_no_member_says_so(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "member.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match="no member") as error:
        armed.member(str(path))
    assert error.value.next_step

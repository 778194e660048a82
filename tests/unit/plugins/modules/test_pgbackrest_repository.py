# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbackrest_repository on a member: pgBackRest is played, the files are real."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import lost_repository
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandFailed, InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import pgbackrest_repository as module

CONFIG = """\
# Ansible managed
[global]
repo1-host=repo-a
repo1-host-port=8432
repo2-type=s3
repo2-path=/pgbackrest
io-timeout=10

[lab]
pg1-path=/data
"""
SUM = "0" * 40


def segments(*names: str) -> dict[str, dict[str, t.Any]]:
    return {f"{name[:16]}/{name}-{SUM}.zst": {"type": "file", "size": 1, "time": 1} for name in names}


class Member:
    """A member with two repositories, and what each of them holds."""

    def __init__(self, tmp_path: Path) -> None:
        self.config = tmp_path / "pgbackrest.conf"
        self.config.write_text(CONFIG, encoding="utf-8")
        self.config.chmod(0o640)
        self.held: dict[int, dict[str, t.Any]] = {1: {}, 2: {}}
        self.answers = True
        self.fails_at = ""
        self.locked = 0
        self.ran: list[str] = []

    def run(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        words = [word for word in argv[1:] if not word.startswith(("--stanza", "--log-level"))]
        self.ran.append(" ".join(word for word in words if not word.startswith("--config=")))
        if "info" in words:
            return Completed(tuple(argv), 0, self.info(), "", 0.0)
        if "repo-ls" in words:
            return Completed(tuple(argv), 0, json.dumps(self.held[int(words[0][-1])]), "", 0.0)
        name = words[-1].rpartition("/")[2]
        if name == self.fails_at:
            raise CommandFailed("ended", argv=argv, rc=82)
        if self.locked and "archive-push" in words:
            self.locked -= 1
            raise CommandFailed("ended", argv=argv, rc=50, stderr="ERROR: [050]: unable to acquire lock")
        if "archive-get" in words:
            Path(words[-1]).write_text("WAL", encoding="utf-8")
        else:
            assert Path(words[-1]).read_text(encoding="utf-8") == "WAL"
            self.held[1].update(segments(name) if len(name) == 24 else {name: {"type": "file", "size": 1, "time": 1}})
        return Completed(tuple(argv), 0, "", "", 0.0)

    def info(self) -> str:
        status = {1: 0 if self.answers else 99, 2: 0}
        return json.dumps([{
            "name": "lab", "status": {"code": 0, "message": "ok", "lock": {"backup": {"held": False}}}, "backup": [],
            "repo": [{"key": key, "status": {"code": code, "message": "?"}} for key, code in status.items()],
            "db": [{"id": 1, "repo-key": key, "system-id": 77, "version": "17"} for key in status],
            "archive": [{"id": "17-1", "database": {"id": 1, "repo-key": key}, "min": None, "max": None}
                        for key in status],
        }])  # fmt: skip

    def act(self, state: str, *, check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
        params = {name: option.get("default") for name, option in module.argument_spec().items()}
        params |= {"stanza": "lab", "state": state, "config": str(self.config), "user": None, **more}
        return module.act(params, check_mode=check_mode, run=self.run)


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Member:
    monkeypatch.setattr(lost_repository, "MARKS", tmp_path)
    # Of this machine's own processes, which may be those of a lab of this name, none is ended.
    (tmp_path / "proc").mkdir()
    monkeypatch.setattr(lost_repository, "PROC", tmp_path / "proc")
    return Member(tmp_path)


def test_a_lost_repository_is_left_out_once(member: Member) -> None:
    answer = member.act("lost")
    assert (answer["changed"], answer["repositories"]) == (True, [2])
    text = member.config.read_text(encoding="utf-8")
    assert "# lost: repo1-host=repo-a\n# lost: repo1-host-port=8432\nrepo2-type=s3" in text
    assert oct(member.config.stat().st_mode & 0o777) == "0o640"
    assert answer["diff"] == {"before": "repository 1\nrepository 2\n", "after": "repository 2\n"}
    assert member.act("lost")["changed"] is False


def test_check_mode_leaves_everything(member: Member) -> None:
    assert member.act("lost", check_mode=True)["changed"] is True
    assert member.config.read_text(encoding="utf-8") == CONFIG
    assert not lost_repository.mark(1).exists()


def test_the_only_repository_is_never_left_out(member: Member) -> None:
    member.config.write_text(CONFIG.replace("repo2", "# repo2"), encoding="utf-8")
    with pytest.raises(InputError, match="the only one"):
        member.act("lost")


def test_it_is_taken_back_with_what_it_missed_and_nothing_else(member: Member) -> None:
    old, known, new = "000000010000000000000001", "000000010000000000000005", "000000020000000000000006"
    member.held[1] = segments(known)
    member.held[2] = {
        **segments(old, known, new), "00000002.history": {"type": "file", "size": 1, "time": 1},
        f"{known[:16]}/{known}.partial-{SUM}.zst": {"type": "file", "size": 1, "time": 1},
    }  # fmt: skip
    member.act("lost")
    answer = member.act("present", refill_from=2)
    assert (answer["changed"], answer["repositories"], answer["refilled"]) == (True, [1, 2], 2)
    assert member.config.read_text(encoding="utf-8") == CONFIG
    pushed = [line.rpartition("/")[2] for line in member.ran if "archive-push" in line]
    assert pushed == ["00000002.history", new], "what it no longer keeps, or has, is not pushed"
    member.ran.clear()
    assert member.act("present", refill_from=2)["changed"] is False
    assert member.ran == [], "where nothing was left out, nothing is asked"


def test_one_that_was_made_anew_gets_the_histories_from_before_it(member: Member) -> None:
    """Nobody left it out: its host was lost, and another one took its place before anybody did."""
    member.held[1] = segments("000000020000000000000007")
    member.held[2] = {
        **segments("000000010000000000000005", "000000020000000000000006", "000000020000000000000007"),
        "00000002.history": {"type": "file", "size": 1, "time": 1},
    }  # fmt: skip
    assert member.act("present", refill_from=2)["refilled"] == 0
    answer = member.act("present", refill_from=2, made_anew=True)
    assert (answer["changed"], answer["refilled"]) == (True, 1)
    assert "00000002.history" in member.held[1]
    assert member.act("present", refill_from=2, made_anew=True)["changed"] is False


def test_one_that_still_does_not_answer_stays_lost(member: Member) -> None:
    member.act("lost")
    member.answers = False
    answer = member.act("present", refill_from=2)
    assert (answer["changed"], answer["repositories"], answer["refilled"]) == (False, [2], 0)
    assert [path.name for path in member.config.parent.iterdir() if path.name.startswith(".")] == []


def test_another_one_that_is_lost_while_this_one_is_asked_stays_lost(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a lock to leave a repository out: the primary's disk fills meanwhile."""
    text = CONFIG + "repo3-path=/elsewhere\n"
    member.config.write_text(text, encoding="utf-8")
    member.act("lost")
    answers = member.info

    def info() -> str:
        monkeypatch.setattr(member, "info", answers)
        member.act("lost", repo=2)
        return answers()

    monkeypatch.setattr(member, "info", info)
    assert member.act("present")["repositories"] == [1, 3]
    assert "# lost: repo2-type=s3" in member.config.read_text(encoding="utf-8")


def test_a_run_that_was_cut_off_goes_on(member: Member) -> None:
    names = [f"00000001000000000000000{number}" for number in (1, 2, 3)]
    member.held[1], member.held[2] = segments(names[0]), segments(*names)
    member.act("lost")
    member.fails_at = names[2]
    with pytest.raises(CommandFailed):
        member.act("present", refill_from=2)
    member.fails_at = ""
    assert member.act("present", refill_from=2)["refilled"] == 1
    assert sorted(member.held[1]) == sorted(segments(*names))


def test_another_archive_push_is_waited_for(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's, or that of a run that was killed and whose module works on."""
    monkeypatch.setattr(lost_repository, "LOCK_POLL_SECONDS", 0)
    held, new = "000000010000000000000001", "000000010000000000000002"
    member.held[1], member.held[2] = segments(held), segments(held, new)
    member.act("lost")
    member.locked = 3
    assert member.act("present", refill_from=2)["refilled"] == 1
    assert member.locked == 0


def test_another_archive_push_is_not_waited_for_without_end(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_repository, "LOCK_SECONDS", 0)
    held, new = "000000010000000000000001", "000000010000000000000002"
    member.held[1], member.held[2] = segments(held), segments(held, new)
    member.act("lost")
    member.locked = 10**9
    with pytest.raises(UnknownError, match=f"no other archive-push keeps {new} back"):
        member.act("present", refill_from=2)


def test_who_waits_for_the_archive_already_is_ended(member: Member, tmp_path: Path) -> None:
    """A program of that name that waits stands in for pgBackRest."""
    code = "import time; time.sleep(60)"
    waiting = subprocess.Popen(
        ["pgbackrest", "-c", code, "--stanza=lab", "archive-get", "1"], executable=sys.executable
    )
    other = subprocess.Popen(["pgbackrest", "-c", code, "--stanza=b", "archive-get", "1"], executable=sys.executable)
    for one in (waiting, other):
        (tmp_path / "proc" / str(one.pid)).symlink_to(f"/proc/{one.pid}")
    try:
        member.act("lost")
        assert waiting.wait(30) == -15
        assert other.poll() is None
    finally:
        for one in (waiting, other):
            one.kill()
            one.wait()

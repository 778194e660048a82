# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guarded restore_command, against a pgBackRest that answers from a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[4] / "roles/pgbackrest/files/restore_wal.py"
SEGMENT = "000000010000000000000005"
GOT, END, STOP = 0, 1, 255

#: Answers as pgBackRest does: archive-get, info and repo-ls over <folder>/<repo>/…, or what ``answers.json`` says.
FAKE = """#!{python}
import json, os, pathlib, shutil, sys, time
top = pathlib.Path({top!r})
said = json.loads((top / "answers.json").read_text())
options = dict(a[2:].split("=", 1) for a in sys.argv[1:] if a.startswith("--") and "=" in a)
verb, *rest = [a for a in sys.argv[1:] if not a.startswith("--")]
with open(top / "calls", "a") as calls:
    calls.write(verb + "\\n")
if verb in said:
    time.sleep(said[verb].get("sleep", 0))
    print(said[verb].get("stderr", ""), file=sys.stderr)
    if "stdout" in said[verb]:
        print(said[verb]["stdout"])
    sys.exit(said[verb].get("rc", 0))
if verb == "archive-get":
    for repo in ("1", "2"):
        for found in (top / repo).rglob(rest[0] + "*"):
            if found.name == rest[0] or found.name.startswith(rest[0] + "-"):
                shutil.copyfile(found, rest[1])
                sys.exit(0)
    sys.exit(1)
if verb == "info":
    for late in sorted((top / "late").glob("*")):
        folder = top / "1/archive/lab/17-1" / late.name[:16]
        folder.mkdir(parents=True, exist_ok=True)
        late.rename(folder / late.name)
    ok = dict(code=0, message="ok")
    print(json.dumps([dict(name="lab", status=ok, repo=[dict(key=n, status=ok) for n in (1, 2)],
        db=[dict([("id", 1), ("repo-key", n)]) for n in (1, 2)],
        archive=[dict(id="17-1", database=dict([("id", 1), ("repo-key", n)])) for n in (1, 2)])]))
if verb == "repo-ls":
    folder = top / options["repo"] / rest[0]
    print("\\n".join(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "")
"""


class Host:
    def __init__(self, top: Path) -> None:
        self.top = top
        self.received = top / "received"
        self.received.mkdir()
        self.target = top / "RECOVERYXLOG"
        self.program = top / "pgbackrest"
        self.program.write_text(FAKE.format(python=sys.executable, top=str(top)), encoding="utf-8")
        self.program.chmod(0o755)
        self.answer({})

    def answer(self, answers: dict[str, t.Any]) -> None:
        (self.top / "answers.json").write_text(json.dumps(answers), encoding="utf-8")

    def archive(self, name: str, repo: int = 1) -> None:
        folder = self.top / str(repo) / "archive/lab/17-1"
        if not name.endswith(".history"):
            folder /= name[:16]
            name = f"{name}-{'a' * 40}.zst" if len(name) == 24 else name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("archived", encoding="utf-8")

    def ask(self, name: str = SEGMENT, *options: str, timeout: float = 20) -> tuple[int, str]:
        places = [f"--received={self.received}", f"--pgbackrest={self.program}"]
        done = subprocess.run(
            [sys.executable, str(PROGRAM), "--stanza=lab", *places, f"--timeout={timeout}", *options, name,
             str(self.target)],
            capture_output=True, text=True, timeout=30, check=False, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        return done.returncode, done.stderr

    def got(self) -> str:
        return self.target.read_text(encoding="utf-8")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_archived_segment_is_fetched(host: Host) -> None:
    host.archive(SEGMENT)
    assert host.ask()[0] == GOT and host.got() == "archived"
    assert (host.top / "calls").read_text() == "archive-get\n", "the usual case asks once"


def test_the_true_end_of_the_archive_is_an_end(host: Host) -> None:
    host.archive("000000010000000000000004")
    assert host.ask()[0] == END


@pytest.mark.parametrize("later", ["000000010000000000000006", "000000010000000100000000"])
@pytest.mark.parametrize("repo", [1, 2])
def test_a_gap_stops_recovery(host: Host, later: str, repo: int) -> None:
    host.archive(later, repo)
    code, words = host.ask()
    assert code == STOP and later in words and "gap" in words


def test_a_segment_that_comes_while_it_is_asked_for_is_no_gap(host: Host) -> None:
    """A throw-away restore reads the archive of a cluster that writes."""
    (host.top / "late").mkdir()
    for name in (SEGMENT, "000000010000000000000006"):
        (host.top / "late" / f"{name}-{'a' * 40}.zst").write_text("archived", encoding="utf-8")
    assert host.ask()[0] == GOT and host.got() == "archived"


def test_a_standby_goes_on_asking(host: Host) -> None:
    host.archive("000000010000000000000006")
    assert host.ask(SEGMENT, "--lenient")[0] == END


@pytest.mark.parametrize(
    "other",
    [
        "000000020000000000000006",
        "000000010000000000000006.partial",
        f"000000010000000000000006-{'a' * 40}.zst.pgbackrest.tmp",
    ],
)
def test_another_timelines_and_a_half_segment_are_no_gap(host: Host, other: str) -> None:
    host.archive(other)
    assert host.ask()[0] == END


def test_a_broken_segment_stops_recovery(host: Host) -> None:
    host.answer({"archive-get": {"rc": 42, "stderr": "ERROR: [042]: zst error"}})
    code, words = host.ask()
    assert code == STOP and "zst error" in words
    assert host.ask(SEGMENT, "--lenient")[0] == END


def test_a_repository_that_hangs_stops_a_restore_and_delays_a_standby_only(host: Host) -> None:
    host.answer({"archive-get": {"sleep": 20}})
    assert host.ask(timeout=0.5)[0] == STOP
    assert host.ask(SEGMENT, "--lenient", timeout=0.5)[0] == END


def test_whether_it_is_the_end_must_be_known(host: Host) -> None:
    """``info`` ends with 0 also on a certificate that is not trusted."""
    bad = {"key": 2, "status": {"code": 99, "message": "unable to verify certificate"}}
    host.answer({"info": {"stdout": json.dumps([{"name": "lab", "repo": [bad], "db": [], "archive": []}])}})
    code, words = host.ask()
    assert code == STOP and "certificate" in words
    host.answer({"info": {"rc": 49, "stderr": "unable to connect"}})
    assert host.ask()[0] == STOP


@pytest.mark.parametrize("options", [(), ("--lenient",)])
def test_what_a_receiver_saved_follows_the_archive(host: Host, options: tuple[str, ...]) -> None:
    (host.received / SEGMENT).write_text("received", encoding="utf-8")
    assert host.ask(SEGMENT, *options)[0] == GOT and host.got() == "received"
    host.archive(SEGMENT)
    assert host.ask(SEGMENT, *options)[0] == GOT and host.got() == "archived"


def test_what_a_receiver_saved_serves_a_standby_without_a_repository(host: Host) -> None:
    (host.received / SEGMENT).write_text("received", encoding="utf-8")
    host.answer({"archive-get": {"sleep": 20}})
    assert host.ask(SEGMENT, "--lenient", timeout=0.5)[0] == GOT
    assert host.ask(SEGMENT, timeout=0.5)[0] == STOP, "a restore wants to know what the repository holds"


def test_half_received_files_are_not_taken(host: Host) -> None:
    (host.received / f"{SEGMENT}.partial").write_text("half", encoding="utf-8")
    assert host.ask()[0] == END
    assert host.ask(f"{SEGMENT}.partial")[0] == END


def test_the_first_timeline_needs_no_history(host: Host) -> None:
    """PostgreSQL asks for it at the end of each recovery on timeline 1, to copy it into the new timeline's own."""
    host.archive("000000010000000000000007")
    assert host.ask("00000001.history")[0] == END


def test_a_history_that_is_missing_stops_only_if_its_timeline_has_wal(host: Host) -> None:
    assert host.ask("00000002.history")[0] == END
    host.archive("000000020000000000000006", 2)
    code, words = host.ask("00000002.history")
    assert code == STOP and "00000002.history" in words
    assert host.ask("00000002.history", "--lenient")[0] == END
    host.archive("00000002.history")
    assert host.ask("00000002.history")[0] == GOT


@pytest.mark.parametrize("arguments", [[], ["a"], ["--typo", "a", "b"]])
def test_a_wrong_call_is_told_and_no_end_of_archive(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False)
    assert "usage" in done.stderr
    assert done.returncode > 125, "PostgreSQL takes a plain 1 for the end of the archive"


def test_the_unforeseen_is_no_end_of_archive(host: Host) -> None:
    host.answer({"info": {"stdout": "[[]]"}})
    code, words = host.ask()
    assert code == STOP and "Traceback" in words
    assert host.ask(SEGMENT, "--lenient")[0] == END

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that timers run, packed as on a host and run by the system's own Python."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.packed import pack

if t.TYPE_CHECKING:
    from conftest import Fork, Protected

FILES = Path(__file__).resolve().parents[4] / "roles/verification/files"


@pytest.fixture(scope="module")
def programs() -> t.Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="programs-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for program in ("verify", "content"):
            (folder / program).write_bytes(pack((FILES / f"{program}.py").read_bytes()))
            (folder / program).chmod(0o755)
        yield folder


def run(program: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As the unit does: by the user postgres, not by root."""
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*become, str(program), *arguments], check=False, capture_output=True, text=True, cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
    )  # fmt: skip


def known(fork: Fork, **more: t.Any) -> str:
    place = fork.place
    path = fork.folder / "verification.json"
    facts = {
        "stanza": "orders", "repos": [1, 2], "user": "postgres", "bin_dir": place.bin_dir, "directory": str(place.root),
        "configuration": place.configuration, "restore_command": place.restore_wal, "state": str(fork.folder / "state"),
        "rto_seconds": 600.0, "timeout_seconds": 300,
    }  # fmt: skip
    path.write_text(json.dumps({**facts, **more}))
    return f"--configuration={path}"


def results(fork: Fork) -> list[dict[str, t.Any]]:
    path = fork.folder / "state/verifications/orders/results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_timer_verifies_and_appends_what_it_found(protected: Protected, programs: Path, fork: Fork) -> None:
    given = known(fork)
    done = run(programs / "verify", "standard-2", given)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("standard-2: passed")
    again = run(programs / "verify", "quick-1", given)
    assert again.returncode == 0, again.stdout
    first, second = results(fork)
    assert (first["level"], first["repo"], first["by"], first["manifest"]) == (
        "standard",
        2,
        "timer",
        protected.manifest,
    )
    assert (second["level"], second["label"], second["verdict"]) == ("quick", None, "passed")
    assert "room" not in first
    # What was foretold before is kept, so that the verification is its test; one that restores nothing is none.
    [foretold] = (fork.folder / "state/verifications/orders/forecasts.jsonl").read_text().splitlines()
    assert first["began_utc"] >= json.loads(foretold)["utc"]


def test_what_is_not_good_ends_with_another_code_and_says_why(programs: Path, fork: Fork) -> None:
    given = known(fork)
    segments = sorted((fork.repository / "archive").rglob("*.zst"))
    segments[-2].unlink()
    done = run(programs / "verify", "quick-1", given)
    assert done.returncode == 1
    assert "failed: repository 1: WAL has no gap: missing: 0000" in done.stdout
    text = Path(fork.place.configuration).read_text()
    Path(fork.place.configuration).write_text(text.replace("repo1-path=", "repo1-host=127.0.0.1\nrepo1-path="))
    nowhere = run(programs / "verify", "quick-1", given)
    assert nowhere.returncode in (1, 2)
    assert results(fork)[-1]["verdict"] != "passed"


def test_a_refusal_is_recorded_too(programs: Path, fork: Fork) -> None:
    done = run(programs / "verify", "standard-1", known(fork, directory=str(fork.folder / ("long" * 15))))
    assert done.returncode == 2
    assert results(fork)[-1]["checks"][-1]["name"] == "verification: it could be done"


def test_what_is_left_over_is_removed_also_without_a_verification(programs: Path, fork: Fork) -> None:
    left = fork.place.root / "restore-left"
    left.mkdir()
    fork_owner = fork.place.root.stat()
    os.chown(left, fork_owner.st_uid, fork_owner.st_gid)
    assert run(programs / "verify", "clean", known(fork)).returncode == 0
    assert not left.exists()


@pytest.mark.parametrize("what", ["", "monthly-1", "full", "full-x", "quick-1; true"])
def test_what_is_unknown_is_refused(programs: Path, fork: Fork, what: str) -> None:
    done = run(programs / "verify", what, known(fork))
    assert done.returncode == 2
    assert "possible: quick, standard, full" in done.stderr


def content_of(protected: Protected, **more: t.Any) -> list[str]:
    facts = {
        "repos": [1, 2], "hashed_bytes": 0, "hold_seconds": 0.0, "stagger_seconds": 0, "fresh_seconds": 0,
        "timeout_seconds": 60,
    }  # fmt: skip
    path = protected.folder / "content.json"
    path.write_text(json.dumps({**facts, **more}))
    return [str(path), str(protected.folder / "member.json")]


def test_a_member_takes_the_manifest_unless_somebody_just_has(protected: Protected, programs: Path) -> None:
    environment = {"PGBACKREST_CONFIG": str(protected.configuration)}
    taken = run(programs / "content", *content_of(protected), **environment)
    assert taken.returncode == 0, taken.stdout + taken.stderr
    assert "is in repository 1" in taken.stdout and "is in repository 2" in taken.stdout
    fresh = run(programs / "content", *content_of(protected, fresh_seconds=3600), **environment)
    assert (fresh.returncode, fresh.stdout.strip().endswith("is fresh")) == (0, True), fresh.stdout


def test_a_repository_that_does_not_get_it_is_told(protected: Protected, programs: Path) -> None:
    done = run(
        programs / "content", *content_of(protected, repos=[1, 7]), PGBACKREST_CONFIG=str(protected.configuration)
    )
    assert done.returncode == 1
    assert "is in repository 1" in done.stdout
    assert "repository 7 did not get it" in done.stdout

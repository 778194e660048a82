# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module backup_verify with real repositories: a good backup passes, and each fault is found by the check for it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import command, verification, verified_copy
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import (
    content_manifest,
    scratch,
    scratch_server,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import lsn_number
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError
from ansible_collections.fraiseql.resilience.plugins.modules import backup_verify

if t.TYPE_CHECKING:
    from conftest import Fork, Protected

STANZA = "orders"


def processes(words: str) -> list[str]:
    """Command lines that hold the words, but for this process' own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
                if words in line:
                    found.append(f"{entry.name} {line}")
    return found


def eventually(look: t.Callable[[], t.Any], *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(scratch, "STATE", tmp_path)
    return tmp_path


def verify(fork: Fork, *, check_mode: bool = False, run: command.Runner = command.run, **given: t.Any) -> t.Any:
    params = {name: option.get("default") for name, option in backup_verify.argument_spec().items()}
    place = fork.place
    params |= {
        "stanza": STANZA, "directory": str(place.root), "configuration": place.configuration, "timeout": 300.0,
        "restore_command": place.restore_wal, "bin_dir": place.bin_dir, "marker_database": "postgres", **given,
    }  # fmt: skip
    return backup_verify.act(params, check_mode=check_mode, run=run)


def verdicts(answer: dict[str, t.Any]) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in answer["checks"]}


def bad(answer: dict[str, t.Any]) -> dict[str, str]:
    return {
        check["name"]: f"{check['verdict']}: {check['reason']}"
        for check in answer["checks"]
        if check["verdict"] != "passed"
    }


def test_a_good_backup_passes_and_the_cluster_notices_nothing(protected: Protected, fork: Fork, state: Path) -> None:
    before = sorted(path.relative_to(fork.folder) for path in fork.folder.rglob("*"))
    answer = verify(fork, present=["before"], absent=["after"], rto_seconds=600.0)
    assert bad(answer) == {}
    assert answer["verdict"] == "passed"
    assert answer["target"] == {"type": "lsn", "value": protected.lsn}
    assert answer["manifest"] == protected.manifest
    after = sorted(path.relative_to(fork.folder) for path in fork.folder.rglob("*"))
    assert [path for path in after if path not in before] == [Path("scratch/lock")]
    [line] = (state / f"verifications/{STANZA}/results.jsonl").read_text().splitlines()
    assert json.loads(line)["checks"] == answer["checks"]
    assert all(answer["seconds"][part] > 0 for part in ("total", "restore", "replay", "checks"))
    assert min(answer["restored_bytes"], answer["replayed_bytes"]) > 0


# Faults of the repository --------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    """One byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def files_of(fork: Fork, pattern: str) -> list[Path]:
    return sorted(fork.repository.glob(pattern))


def segments(fork: Fork) -> list[Path]:
    """Archived WAL, oldest first."""
    found = files_of(fork, f"archive/{STANZA}/*/*/*.zst")
    return [path for path in found if re.match(r"[0-9A-F]{24}-", path.name)]


def flipped_in_the_backup(fork: Fork) -> None:
    flip(max(files_of(fork, f"backup/{STANZA}/2*F/bundle/*"), key=lambda path: path.stat().st_size))


def flipped_in_the_wal(fork: Fork) -> None:
    [segment] = [path for path in segments(fork) if path.name.startswith(fork.needed)]
    flip(segment)


def gap_in_the_wal(fork: Fork) -> None:
    segments(fork)[-2].unlink()


def backup_without_its_wal(fork: Fork) -> None:
    segments(fork)[1].unlink()


def foreign_history(fork: Fork) -> None:
    """Of a server that was promoted and archived, as a copy would have that does."""
    [folder] = [path for path in files_of(fork, f"archive/{STANZA}/*") if path.is_dir()]
    put(fork, f"archive/{STANZA}/{folder.name}/00000063.history", "1\t0/3000000\tof a drill\n")
    old = segments(fork)[0].stat().st_mtime - 60
    os.utime(folder / "00000063.history", (old, old))


def wrong_key(fork: Fork) -> None:
    path = fork.folder / "pgbackrest.conf"
    path.write_text(path.read_text().replace("a passphrase of a test", "not the passphrase at all"))


def stale(fork: Fork) -> None:
    """Nothing has come since the first backup, but for a manifest of an hour later."""
    for path in segments(fork)[2:]:
        path.unlink()


def no_manifest(fork: Fork) -> None:
    shutil.rmtree(fork.repository / "manifests")


def catalogue_ahead(fork: Fork) -> None:
    path = scratch.STATE / f"backups/{STANZA}/catalogue.jsonl"
    path.parent.mkdir(parents=True)
    line = {"repo": 1, "verdict": "passed", "label": "20991231-000000F", "type": "full"}
    path.write_text(json.dumps(line) + "\n" + '{"cut off')


# For pgBackRest or for PostgreSQL, which names the place or the segment, as the byte falls.
UNREADABLE = (
    "was not reached: the recovery died: "
    "(restore_wal: archive-get of [0-9A-F]{24} ended|LOG: .* (at 0/|in log segment [0-9A-F]{24}))"
)

FAULTS = {
    flipped_in_the_backup: ("standard", "restore: files", "failed", "backup 2.*F"),
    flipped_in_the_wal: (
        "standard",
        "recovery: it ended at the target",
        "failed",
        UNREADABLE,
    ),
    gap_in_the_wal: ("standard", "repository 1: WAL has no gap", "failed", "missing: [0-9A-F]{24}"),
    backup_without_its_wal: ("standard", "repository 1: WAL has no gap", "failed", "missing: [0-9A-F]{24}"),
    foreign_history: ("standard", "repository 1: no timeline is foreign", "failed", "00000063.history"),
    wrong_key: ("standard", "repository 1: it can be read", "failed", "key is wrong"),
    stale: ("standard", "repository 1: WAL has come since the newest manifest", "failed", "nothing archived lies at"),
    no_manifest: ("standard", "content: manifest", "unknown", "no manifest is in the repository"),
    catalogue_ahead: ("quick", "repository 1: it holds what the catalogue says", "failed", "20991231-000000F"),
}


@pytest.mark.sabotage
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_of_the_repository_is_found_by_the_check_for_it(
    protected: Protected, fork: Fork, fault: t.Callable[[Fork], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "STALE_SECONDS", 0.0)
    level, name, verdict, reason = FAULTS[fault]
    fault(fork)
    protected.give(fork.folder)
    answer = verify(fork, level=level)
    found = {check["name"]: check for check in answer["checks"]}
    assert name in found, bad(answer)
    assert found[name]["verdict"] == verdict, bad(answer)
    assert re.search(reason, found[name]["reason"], re.DOTALL), found[name]["reason"]
    assert answer["verdict"] != "passed"
    assert list(fork.place.root.glob("restore-*")) == []


@pytest.mark.sabotage
@pytest.mark.parametrize("fault", [flipped_in_the_backup, flipped_in_the_wal], ids=lambda fault: fault.__name__)
def test_a_changed_file_is_found_without_a_restore(
    protected: Protected, fork: Fork, fault: t.Callable[[Fork], None]
) -> None:
    fault(fork)
    found = bad(verify(fork, level="quick"))
    assert any("files of" in name and re.search("1 (checksum invalid|other)", found[name]) for name in found), found


@pytest.mark.sabotage
def test_a_foreign_history_leads_no_recovery_astray(protected: Protected, fork: Fork) -> None:
    foreign_history(fork)
    protected.give(fork.folder)
    assert set(bad(verify(fork))) == {"repository 1: no timeline is foreign"}


def put(fork: Fork, path: str, text: str) -> None:
    """A file in the archive, encrypted with the passphrase that only the stanza's own files tell."""
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    base = [*become, "pgbackrest", f"--config={fork.place.configuration}", f"--stanza={STANZA}", "--repo=1"]
    told = subprocess.run([*base, "repo-get", f"archive/{STANZA}/archive.info"], check=True, capture_output=True)
    [secret] = re.findall(r'^cipher-pass="(.+)"$', told.stdout.decode(), re.MULTILINE)
    environment = {**os.environ, "PGBACKREST_CIPHER_PASS": secret}
    subprocess.run([*base, "repo-put", path], check=True, input=text.encode(), env=environment)


# The host ------------------------------------------------------------------------------------------------------------


@pytest.mark.sabotage
def test_a_host_that_is_too_small_is_refused_before_anything_is_restored(
    fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch.Place, "free_bytes", lambda _place: 100 * 2**20)
    with pytest.raises(RefusedError, match="too small") as refused:
        verify(fork)
    assert refused.value.given == "100 MB free"
    assert "841 MB" in refused.value.possible or "MB or more" in refused.value.possible
    assert list(fork.place.root.iterdir()) == []


def test_the_plan_says_what_would_be_restored_and_leaves_nothing(protected: Protected, fork: Fork, state: Path) -> None:
    answer = verify(fork, check_mode=True)
    assert answer["label"].endswith("F")
    assert answer["target"]["value"] == protected.lsn
    assert answer["room"]["free_bytes"] > answer["room"]["needed_bytes"] > 2**29
    assert answer["predicted_seconds"] is None, "nothing was measured here yet"
    assert list(fork.place.root.iterdir()) == list(state.iterdir()) == []


@pytest.mark.sabotage
def test_a_marker_on_the_wrong_side_fails(fork: Fork) -> None:
    answer = verify(fork, present=["after"], absent=["before"])
    assert set(bad(answer)) == {"markers: from both sides"}
    assert "after is missing | before is there" in bad(answer)["markers: from both sides"]


def test_another_repository_is_verified_by_its_own_files_alone(protected: Protected, fork: Fork) -> None:
    shutil.rmtree(fork.folder / "repo1")
    answer = verify(fork, repo=2)
    assert bad(answer) == {}
    assert answer["repo"] == 2


def test_received_wal_is_no_proof_that_the_repository_has_it(fork: Fork) -> None:
    seen: list[str] = []

    def spy(argv: t.Sequence[str], **more: t.Any) -> command.Completed:
        seen.extend(word for word in argv if "restore_command" in word)
        return command.run(argv, **more)

    verify(fork, run=spy)
    assert f"--received={fork.place.root}/restore-" in seen[0]


# The copy ------------------------------------------------------------------------------------------------------------


def spoiled(monkeypatch: pytest.MonkeyPatch, name: str, how: t.Callable[[t.Any], None]) -> None:
    """The verification's own step, with something that happens to the copy before it."""
    step = getattr(verified_copy, name)

    def spoil(*given: t.Any) -> None:
        how(given)
        step(*given)

    monkeypatch.setattr(verified_copy, name, spoil)


def rot(given: t.Any) -> None:
    """The largest file of the copy."""
    flip(max((given[2].data / "base").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0))


@pytest.mark.sabotage
def test_a_rotten_page_fails_by_its_checksum(fork: Fork, monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled(monkeypatch, "_look_at_files", rot)
    answer = verify(fork)
    assert set(bad(answer)) == {"pages: checksums"}
    assert "1 bad pages" in bad(answer)["pages: checksums"]


@pytest.mark.sabotage
def test_a_row_that_its_index_lacks_fails_at_level_full(fork: Fork, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard level looks from index to heap, not from heap to index."""

    def lose(given: t.Any) -> None:
        given[3].sql.script("postgres", UNINDEXED, timeout=30)

    spoiled(monkeypatch, "_look_inside", lose)
    quick, thorough = (bad(verify(fork, level=level)) for level in ("standard", "full"))
    assert "structure: heaps and indexes" not in quick
    assert "lacks matching index tuple" in thorough["structure: heaps and indexes"]


#: A row that comes while its index takes none.
UNINDEXED = """
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'item_weight_idx'::regclass;
INSERT INTO item (weight) VALUES (-1);
UPDATE pg_index SET indisready = true, indisvalid = true WHERE indexrelid = 'item_weight_idx'::regclass;
"""


@pytest.mark.sabotage
def test_a_configuration_that_nobody_kept_is_unknown(fork: Fork, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(given: t.Any) -> None:
        given[0].manifest["configuration"].pop("pg_hba.conf")

    spoiled(monkeypatch, "_look_at_files", forget)
    assert bad(verify(fork)) == {"configuration: outside of the data": "unknown: no copy of pg_hba.conf is kept"}


@pytest.mark.sabotage
def test_a_configuration_that_was_spoiled_fails(fork: Fork, monkeypatch: pytest.MonkeyPatch) -> None:
    def misspell(given: t.Any) -> None:
        text = "max_connections = none\n"
        given[0].manifest["configuration"]["postgresql.conf"] = {"text": text, "sha256": content_manifest.digest(text)}

    spoiled(monkeypatch, "_look_at_files", misspell)
    assert "PostgreSQL cannot read the copy" in bad(verify(fork))["configuration: outside of the data"]


@pytest.mark.sabotage
def test_a_setting_that_was_raised_since_the_backup_would_stop_the_recovery(protected: Protected, fork: Fork) -> None:
    """The control file that is restored tells of less than the WAL that is replayed needs; the manifest tells of it."""
    with scratch.alone(fork.place, timeout=1), scratch.made(fork.place, STANZA, 1, run=command.run) as copy:
        backup = copy.client.info(1).backups_of(1)[0]
        copy.restore(scratch.Request(backup, lsn_number(protected.lsn), 1), timeout=60)
        with (
            scratch_server.started(copy, {}, workers=0) as server,
            pytest.raises(scratch_server.RecoveryDied, match="maximum number of prepared transactions"),
        ):
            server.await_answer(timeout=60)
        assert scratch_server.needed(copy, {"max_prepared_transactions": 8})["max_prepared_transactions"] == 8


def test_what_failed_is_kept_where_that_is_asked_for_and_the_next_run_removes_it(
    fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled(monkeypatch, "_look_at_files", rot)
    verify(fork, keep_on_failure=True)
    [kept] = fork.place.root.glob("restore-*")
    assert (kept / "data/PG_VERSION").exists()
    assert processes(str(kept)) == []
    with scratch.alone(fork.place, timeout=1):
        assert list(fork.place.root.glob("restore-*")) == []


# Cut off -------------------------------------------------------------------------------------------------------------

RUN = """
import json, sys
from pathlib import Path
from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import scratch
from ansible_collections.fraiseql.resilience.plugins.modules import backup_verify
scratch.STATE = Path(sys.argv[1])
backup_verify.act(json.loads(sys.argv[2]), check_mode=False, run=command.run)
"""


@pytest.mark.parametrize("program", ["pgbackrest --config", "pg_amcheck"])
def test_a_verification_that_is_killed_leaves_nothing_running(
    protected: Protected, fork: Fork, state: Path, program: str
) -> None:
    archive = sorted(fork.repository.rglob("*"))
    params = {name: option.get("default") for name, option in backup_verify.argument_spec().items()}
    place = fork.place
    params |= {
        "stanza": STANZA, "directory": str(place.root), "configuration": place.configuration, "level": "full",
        "restore_command": place.restore_wal, "bin_dir": place.bin_dir,
    }  # fmt: skip
    begun = subprocess.Popen([sys.executable, "-c", RUN, str(state), json.dumps(params)], stderr=subprocess.DEVNULL)
    scratch_of = f"{place.root}/restore-"
    eventually(lambda: any(program in line and scratch_of in line for line in processes(scratch_of)))
    begun.kill()
    begun.wait()
    eventually(lambda: processes(scratch_of) == [], seconds=10)
    assert list(place.root.glob("restore-*")), "its files are left, for the next one"
    assert bad(verify(fork)) == {}
    assert list(place.root.glob("restore-*")) == []
    assert sorted(fork.repository.rglob("*")) == archive
    assert protected.primary.sql("SELECT count(*) > 0 FROM item") == "t"

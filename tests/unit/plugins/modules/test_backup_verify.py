# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module backup_verify with real repositories: a good backup passes, and each fault is found by the check for it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import command, verification
from ansible_collections.fraiseql.resilience.plugins.modules import backup_verify

if t.TYPE_CHECKING:
    from conftest import Fork, Protected

STANZA = "orders"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(verification, "STATE", tmp_path)
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


def test_show(protected: Protected, fork: Fork) -> None:
    answer = verify(fork, level="full", present=["before"], absent=["after"])
    print(json.dumps(answer, indent=1))
    for repo in (2,):
        print(verify(fork, level="quick", repo=repo))

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import signature
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle


def create(directory: Path, operation: str = "drill", cluster: str = "lab") -> Bundle:
    return Bundle.create(directory, operation, cluster, None)


def test_a_folder_is_named_by_time_operation_and_cluster(tmp_path: Path) -> None:
    bundle = create(tmp_path / "not" / "there" / "yet")
    assert re.fullmatch(r"\d{8}T\d{6}Z-drill-lab", bundle.path.name)
    assert bundle.opening()["operation"] == "drill"
    assert not bundle.sealed


def test_two_of_the_same_second_have_two_folders(tmp_path: Path) -> None:
    paths = {create(tmp_path).path for _try in range(20)}
    assert len(paths) == 20


@pytest.mark.parametrize("word", ["", "../lab", "a/b", ".", "a b", "..", "lab\n"])
def test_a_name_cannot_lead_elsewhere(tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError):
        create(tmp_path, cluster=word)
    with pytest.raises(InputError):
        create(tmp_path, operation=word)


def test_a_directory_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no evidence can be written there"):
        create(tmp_path / "file")


def test_operations_nest(tmp_path: Path) -> None:
    bundle = create(tmp_path)
    bundle.timeline.append("joined", operation="failover")
    assert bundle.inside() == ["drill", "failover"]
    bundle.timeline.append("left", operation="failover", report={"checks": []})
    assert bundle.inside() == ["drill"]
    assert bundle.reported_inside() == [{"checks": []}]


def test_a_folder_without_a_begin_is_no_evidence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no evidence"):
        Bundle(tmp_path).opening()


def test_an_added_file_has_its_hash_in_the_timeline(tmp_path: Path) -> None:
    bundle = create(tmp_path)
    event = bundle.add("plans/plan.json", b"{}\n")
    assert (bundle.path / "plans" / "plan.json").read_bytes() == b"{}\n"
    assert event["sha256"] == signature.digest(bundle.path / "plans" / "plan.json")
    assert bundle.events()[-1] == event


def test_an_added_file_is_never_exchanged(tmp_path: Path) -> None:
    bundle = create(tmp_path)
    bundle.add("plan.json", b"one")
    bundle.add("plan.json", b"one")
    with pytest.raises(RefusedError):
        bundle.add("plan.json", b"two")
    assert (bundle.path / "plan.json").read_bytes() == b"one"


@pytest.mark.parametrize(
    "name", ["report.json", "timeline.jsonl", "SHA256SUMS", "SHA256SUMS.sig", "../x", "/etc/x", "a/../../x", "..", "."]
)
def test_no_file_is_added_elsewhere_or_under_an_own_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        create(tmp_path).add(name, b"")


def test_a_sealed_folder_takes_nothing_more(tmp_path: Path) -> None:
    bundle = create(tmp_path)
    bundle.seal({"report.json": b"{}\n"}, None, run)
    assert bundle.sealed
    with pytest.raises(RefusedError):
        bundle.add("late.json", b"")
    assert all(path.stat().st_mode & 0o222 == 0 for path in bundle.path.iterdir())
    assert signature.differences(bundle.path) == []


def test_a_seal_that_was_cut_off_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = create(tmp_path)

    def killed(_folder: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(signature, "manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        bundle.seal({"report.json": b"{}\n"}, None, run)
    assert not bundle.sealed

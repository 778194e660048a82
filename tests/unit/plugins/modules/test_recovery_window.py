# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module recovery_window: repositories that cannot be read are unknown; a required target outside fails."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import keys
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandFailed, InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import segment_name
from ansible_collections.fraiseql.resilience.plugins.modules import recovery_window


class Host:
    def __init__(
        self, segments: t.Iterable[int], code: int = 0, *, listing_fails: bool = False,
        message: str = "unable to verify certificate",
    ) -> None:  # fmt: skip
        self.message = message
        names = [segment_name(1, n) for n in segments]
        self.files = {f"{name[:16]}/{name}-{'a' * 40}.zst": {"type": "file", "size": 1, "time": 1000} for name in names}
        self.code = code
        self.listing_fails = listing_fails

    def __call__(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        if "repo-ls" in argv:
            if self.listing_fails:
                raise CommandFailed("ended", argv=argv, rc=49, stderr="ERROR: [049]: unable to connect")
            return self.said({"F1": {"type": "path"}} if argv[-1].startswith("backup/") else self.files)
        backup = {
            "label": "F1", "type": "full", "database": {"id": 1, "repo-key": 1},
            "archive": {"start": segment_name(1, 2), "stop": segment_name(1, 2)},
            "lsn": {"start": "0/2000028", "stop": "0/2000158"}, "timestamp": {"start": 1, "stop": 2},
            "info": {"size": 10, "repository": {"delta": 5}}, "error": False,
        }  # fmt: skip
        return self.said([{
            "name": "lab",
            "status": {"code": self.code, "message": "m"},
            "repo": [{"key": 1, "status": {"code": self.code, "message": self.message}}],
            "db": [{"id": 1, "repo-key": 1, "system-id": 77, "version": "17"}],
            "archive": [{"id": "17-1", "database": {"id": 1, "repo-key": 1}, "min": "x", "max": "y"}],
            "backup": [backup],
        }])  # fmt: skip

    def said(self, words: t.Any) -> Completed:
        return Completed(("pgbackrest",), 0, json.dumps(words), "", 0.1)

    def act(self, target: dict[str, t.Any] | None = None, **given: t.Any) -> dict[str, t.Any]:
        spec = recovery_window.argument_spec()
        params = {name: option.get("default") for name, option in spec.items()} | {"stanza": "lab", "read_wal": False}
        if target is not None:
            options = spec["target"]["options"]
            params["target"] = {name: option.get("default") for name, option in options.items()} | target
        return recovery_window.act(params | given, self)


def test_a_whole_repository_passes_and_its_window_is_told() -> None:
    answer = Host(range(1, 9)).act({"type": "lsn", "value": "0/5000000"})
    assert answer["verdict"] == "passed" and answer["changed"] is False
    assert answer["windows"][0]["to_lsn"] == "0/9000000"
    assert answer["target"]["inside"] is True and answer["target"]["set"] == "F1"
    assert answer["timelines"] == [
        {"repo": 1, "newest": 1, "aside": [], "last_segment": segment_name(1, 8), "last_time": "1970-01-01 00:16:40+00"}
    ]


def test_a_gap_fails_the_verdict_and_a_required_target_behind_it() -> None:
    host = Host([1, 2, 3, 5, 6])
    answer = host.act({"type": "default"})
    assert answer["verdict"] == "failed" and answer["gaps"][0]["first"] == segment_name(1, 4)
    with pytest.raises(InputError, match=segment_name(1, 4)):
        host.act({"type": "default"}, require=True)


@pytest.mark.parametrize("host", [Host(range(9), code=99), Host(range(9), listing_fails=True)])
def test_what_cannot_be_read_is_unknown_and_never_passed(host: Host) -> None:
    answer = host.act()
    assert answer["verdict"] == "unknown" and answer["windows"] == []
    with pytest.raises(InputError):
        host.act({"type": "default"}, require=True)


def test_a_wrong_key_is_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "DESCRIPTOR", tmp_path / "repository.json")
    monkeypatch.setattr(keys, "CATALOGUES", tmp_path)
    (tmp_path / "lab").mkdir()
    message = "[CryptoError] key/value found outside of section at line 1: Salted__"

    def reason() -> str:
        return str(Host(range(9), code=99, message=message).act()["checks"][0]["reason"])

    assert reason().endswith("the repository's key is wrong"), "nothing says which backup needs which"
    (tmp_path / "lab/catalogue.jsonl").write_text('{"label": "F1", "key_id": "1a2b"}\n')
    assert "backup F1 needs key 1a2b; given is none" in reason()
    (tmp_path / "repository.json").write_text('{"generations": [{"key_id": "3c4d"}]}')
    assert "backup F1 needs key 1a2b; given is 3c4d" in reason()
    (tmp_path / "repository.json").write_text('{"generations": [{"key_id": "1a2b"}]}')
    assert "1a2b" not in reason()


def test_a_target_without_sense_is_refused_before_a_repository_is_asked() -> None:
    def run(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        raise AssertionError(argv)

    params = {"target": {"type": "time", "value": "2026-11-23 10:00:00", "exclusive": False, "timeline": None}}
    with pytest.raises(InputError, match="offset"):
        recovery_window.act(params, run)

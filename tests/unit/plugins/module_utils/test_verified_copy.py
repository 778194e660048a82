# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the archive's histories are read: before a server of the copy could write one, and after it is gone."""

from __future__ import annotations

import contextlib
import time
import typing as t
from types import SimpleNamespace

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import verified_copy
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.verified_copy import Findings, Order

NAME = "archive: the copy left nothing in it"


class Copy:
    """Steps in their order; ``archive`` is what it holds, and reading it takes longer than the restore."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.archive: dict[str, str] = {}
        self.writes: dict[str, str] = {}
        self.readable = True
        made = contextlib.nullcontext(SimpleNamespace(client=None))
        monkeypatch.setattr(verified_copy.scratch, "alone", lambda *_words, **_more: contextlib.nullcontext())
        monkeypatch.setattr(verified_copy.scratch, "made", lambda *_words, **_more: made)
        monkeypatch.setattr(verified_copy.scratch, "histories", self.histories)
        monkeypatch.setattr(verified_copy, "_restore_files", lambda *_words: self.steps.append("restored"))
        monkeypatch.setattr(verified_copy, "_recover", self.recover)

    def histories(self, _client: t.Any, _repo: int) -> dict[str, str]:
        time.sleep(0.05)
        if not self.readable:
            raise UnknownError("the repository does not answer")
        self.steps.append("read")
        return dict(self.archive)

    def recover(self, *given: t.Any) -> None:
        self.steps.append("started")
        self.archive |= self.writes
        given[4].append(("00000002.history", "the copy's own"))

    def verified(self) -> dict[str, str]:
        found = Findings()
        none = t.cast("t.Any", None)
        verified_copy.restore(Order("orders"), none, none, found, none, Deadline(10))
        return {check.name: check.verdict.value for check in found.checks}


def test_the_archive_is_read_before_a_server_starts_though_the_files_came_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = Copy(monkeypatch)
    assert copy.verified() == {NAME: "passed"}
    assert copy.steps == ["restored", "read", "started", "read"]


def test_what_the_copy_left_in_the_archive_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(monkeypatch)
    copy.writes = {"00000002.history": "the copy's own"}
    assert copy.verified() == {NAME: "failed"}


def test_no_server_starts_where_the_archive_could_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(monkeypatch)
    copy.readable = False
    with pytest.raises(UnknownError, match="does not answer"):
        copy.verified()
    assert copy.steps == ["restored"]

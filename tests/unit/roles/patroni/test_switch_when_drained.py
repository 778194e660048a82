# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program asks Patroni at its own word only, and says what Patroni answered."""

from __future__ import annotations

import importlib.util
import json
import select
import sys
import typing as t
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROLES = Path(__file__).resolve().parents[4] / "roles"
PROGRAM = ROLES / "patroni/files/switch_when_drained.py"


class Primary:
    """A server's connection on which this word has come."""

    def __init__(self, word: str) -> None:
        self.notifies = [SimpleNamespace(payload=word)]

    def cursor(self) -> Primary:
        return self

    def execute(self, sql: str) -> None:
        pass

    def fetchone(self) -> tuple[bool]:
        return (False,)

    def poll(self) -> None:
        pass


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Callable[..., tuple[int, dict[str, t.Any], t.Any]]:
    """Exit code and state of a run at this word, where Patroni answers so, and what it was asked."""
    fake = ModuleType("psycopg2")
    fake.Error = type("Error", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "psycopg2", fake)
    monkeypatch.delitem(sys.modules, "gateway_word", raising=False)
    # On a member they lie in one folder.
    monkeypatch.syspath_prepend(ROLES / "replication/files")
    monkeypatch.setattr(select, "select", lambda *_: ([], [], []))
    spec = importlib.util.spec_from_file_location("switch_when_drained", PROGRAM)
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)

    def ran(
        word: str, answer: tuple[int, str] | OSError, deadline: float = 60.0
    ) -> tuple[int, dict[str, t.Any], t.Any]:
        fake.connect = lambda **_words: Primary(word)  # type: ignore[attr-defined]
        asked: list[t.Any] = []

        def ask(_member: t.Any, request: dict[str, str]) -> tuple[int, str]:
            asked.append(request)
            if isinstance(answer, OSError):
                raise answer
            return answer

        monkeypatch.setattr(program, "ask", ask)
        descriptor, state = tmp_path / "member.json", tmp_path / "demotion.json"
        descriptor.write_text(json.dumps({"name": "pg-a1", "socket_dir": "/run", "port": 5432}), "utf-8")
        files = [f"--descriptor={descriptor}", f"--state-file={state}"]
        monkeypatch.setattr(
            sys, "argv", ["program", "--token=T", f"--deadline={deadline}", "--candidate=pg-a2", *files]
        )
        return program.main(), json.loads(state.read_text("utf-8")), asked

    return ran


def test_at_its_word_patroni_is_asked(run: t.Callable[..., t.Any]) -> None:
    code, state, asked = run("T", (200, "Successfully switched over"))
    assert (code, state["state"], state["reason"]) == (0, "switched", "")
    assert asked == [{"leader": "pg-a1", "candidate": "pg-a2"}]


def test_a_refusal_is_told_in_patronis_words(run: t.Callable[..., t.Any]) -> None:
    code, state, _asked = run("T", (412, "candidate does not match"))
    assert (code, state["state"], state["reason"]) == (1, "failed", "Patroni answers 412: candidate does not match")


def test_a_patroni_that_does_not_answer_is_told(run: t.Callable[..., t.Any]) -> None:
    code, state, _asked = run("T", OSError("connection refused"))
    assert (code, state["state"], state["reason"]) == (1, "failed", "connection refused")


def test_at_another_word_nobody_is_asked(run: t.Callable[..., t.Any]) -> None:
    code, state, asked = run("yesterday", (200, ""), 0.1)
    assert (code, state["state"], asked) == (1, "expired", [])

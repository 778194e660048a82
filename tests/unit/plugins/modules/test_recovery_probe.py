# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module recovery_probe: what it asks of whom, in each state and in check mode."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import probe_rows
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandTimedOut,
    InputError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.modules import recovery_probe

RUN = "5a1b7a54-7f0a-4a3e-8e0e-5d3f0f4f0001"
OBSERVER = probe_rows.Observer("c", (), {"host": "gate", "port": 6432, "database": "d"}, "u", "/p", "/ca")


class Control:
    """A probe that does what it is told."""

    name = "drill"

    def __init__(self, ledger: Path | None = None) -> None:
        self.calls: list[tuple[str, dict[str, t.Any]]] = []
        self.ledger = ledger

    def start(self, settings: dict[str, t.Any], **options: t.Any) -> bool:
        self.calls.append(("start", {**settings, **options}))
        return True

    def stop(self, **options: t.Any) -> bool:
        self.calls.append(("stop", options))
        return True

    def await_outage(self, **options: t.Any) -> dict[str, t.Any]:
        self.calls.append(("outage", options))
        return {"t3_ns": 5}

    def await_recovery(self, **options: t.Any) -> None:
        self.calls.append(("recovery", options))

    def ledger_path(self) -> Path | None:
        return self.ledger


def module(check_mode: bool = False, **params: t.Any) -> t.Any:
    spec = recovery_probe.argument_spec()
    return SimpleNamespace(check_mode=check_mode, params={**{k: v.get("default") for k, v in spec.items()}, **params})


def ledger(folder: Path, acked: int = 1) -> Path:
    path = folder / "ledger.jsonl"
    records = [
        {"type": "header", "version": 1, "run": RUN, "name": "t", "clients": 1, "interval_seconds": 0.05, "begin_ns": 0,
         "boot_id": "b", "realtime_minus_monotonic_ns": 1},
        *({"client": 0, "seq": seq, "begin_ns": 2 * seq, "end_ns": 2 * seq + 1, "outcome": "acked", "server": "a",
           "timeline": 1, "lsn": f"1/{16 * seq:X}", "error": None} for seq in range(1, acked + 1)),
        {"type": "footer", "reason": "asked", "attempts": acked, "end_ns": 999, "realtime_minus_monotonic_ns": 1},
    ]  # fmt: skip
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def test_a_start_gives_the_runs_options_and_the_gateway() -> None:
    control = Control()
    answer = recovery_probe.started(module(clients=2, timeout=9.0), t.cast("t.Any", control), OBSERVER)
    assert answer == {"changed": True}
    verb, options = control.calls[0]
    assert (verb, options["clients"], options["timeout"], options["check_mode"]) == ("start", 2, 9.0, False)
    assert options["connection"]["host"] == "gate"
    assert options["connection"]["application_name"] == "probe-drill"


@pytest.mark.parametrize("option", recovery_probe.RUN_OPTIONS)
def test_an_option_that_is_not_positive_is_refused(option: str) -> None:
    with pytest.raises(InputError, match=option):
        recovery_probe.started(module(**{option: 0}), t.cast("t.Any", Control()), OBSERVER)


def test_waiting_begins_at_the_given_moment_or_now() -> None:
    control = Control()
    given = recovery_probe.awaited(module(state="outage_awaited", since_ns=7), t.cast("t.Any", control))
    assert given == {"changed": False, "outage": {"t3_ns": 5}}
    recovery_probe.awaited(module(state="recovered_awaited"), t.cast("t.Any", control))
    assert control.calls[0] == ("outage", {"since_ns": 7, "timeout": 30.0})
    assert control.calls[1][0] == "recovery"
    assert control.calls[1][1]["since_ns"] > 0


def test_check_mode_waits_for_nothing() -> None:
    control = Control()
    answer = recovery_probe.awaited(module(check_mode=True, state="outage_awaited"), t.cast("t.Any", control))
    assert answer == {"changed": False, "outage": None}
    assert control.calls == []


def test_collecting_stops_reads_and_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = probe_rows.ProbeRows(((0, 1),), "198.18.1.11", 1, "0/20")
    monkeypatch.setattr(probe_rows, "read_rows", lambda *_args, **_options: read)
    control = Control(ledger(tmp_path))
    answer = recovery_probe.collected(module(state="collected"), t.cast("t.Any", control), OBSERVER)
    assert control.calls == [("stop", {"check_mode": False})]
    assert answer["verdict"] == "passed"
    assert answer["probe"]["rows"] == {"read": 1, "server": "198.18.1.11", "timeline": 1, "lsn": "0/20"}


def test_every_lost_row_is_listed_however_many_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = Control(ledger(tmp_path, acked=50))
    there = probe_rows.ProbeRows(tuple((0, seq) for seq in range(1, 11)), "198.18.1.11", 1, "1/20")
    monkeypatch.setattr(probe_rows, "read_rows", lambda *_args, **_options: there)
    answer = recovery_probe.collected(module(state="collected"), t.cast("t.Any", control), OBSERVER)
    listed = [json.loads(line) for line in Path(answer["lost_rows"]).read_text().splitlines()]
    assert len(listed) == answer["probe"]["rpo"]["transactions"] == 40
    assert [row["seq"] for row in listed] == list(range(11, 51))
    assert listed[0] == {"client": 0, "seq": 11, "outcome": "acked", "begin_ns": 22, "end_ns": 23, "server": "a",
                         "timeline": 1, "lsn": "1/B0"}  # fmt: skip
    all_there = probe_rows.ProbeRows(tuple((0, seq) for seq in range(1, 51)), "198.18.1.11", 1, "1/20")
    monkeypatch.setattr(probe_rows, "read_rows", lambda *_args, **_options: all_there)
    again = recovery_probe.collected(module(state="collected"), t.cast("t.Any", control), OBSERVER)
    assert "lost_rows" not in again
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.jsonl"]


def test_rows_that_cannot_be_read_make_it_unknown_not_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_answers(*_args: t.Any, **_options: t.Any) -> t.NoReturn:
        raise CommandTimedOut("psql gave no answer within 30 s and was killed")

    monkeypatch.setattr(probe_rows, "read_rows", nobody_answers)
    control = Control(ledger(tmp_path))
    answer = recovery_probe.collected(module(state="collected"), t.cast("t.Any", control), OBSERVER)
    assert answer["verdict"] == "unknown"
    assert answer["probe"]["rpo"] is None
    assert "psql gave no answer" in answer["checks"][0]["reason"]


def test_collecting_in_check_mode_judges_nothing(tmp_path: Path) -> None:
    control = Control(ledger(tmp_path))
    answer = recovery_probe.collected(module(check_mode=True), t.cast("t.Any", control), OBSERVER)
    assert answer == {"changed": True}


def test_there_is_nothing_to_collect_before_the_first_run() -> None:
    with pytest.raises(InputError, match="never was a probe named drill"):
        recovery_probe.collected(module(), t.cast("t.Any", Control()), OBSERVER)


def test_a_cut_that_is_none_is_refused_before_anything_stops(tmp_path: Path) -> None:
    control = Control(ledger(tmp_path))
    with pytest.raises(InputError, match="the cut is wrong"):
        recovery_probe.collected(module(cut={"lsn": "5", "timeline": 1}), t.cast("t.Any", control), OBSERVER)
    assert control.calls == []


def test_a_ledger_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownError, match="cannot be read"):
        recovery_probe.judged(tmp_path / "none.jsonl", {}, None, 5.0, tmp_path / "none.lost")

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forecast is made before the restore that tests it, from what was learned alone; its error is what is said."""

from __future__ import annotations

import json
import typing as t
from types import SimpleNamespace

import forecast_error
import pytest

GIB, MIB = 2**30, 2**20
BASE = 2**25


class Host:
    """Restores at 6 s a GiB and 1 s more, replays at 20 s a GiB and 1 s more; what is not learned, at ``factor``."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.wanted: list[list[float]] = []
        self.restored: list[int] = []

    def __call__(self, verb: str, given: str = "") -> str:
        if verb == "make":
            self.wanted = json.loads(given)
            return json.dumps([self.backup(*one) for one in self.wanted])
        assert verb == "restore"
        self.restored.append(int(given))
        size, wal = self.wanted[int(given)]
        factor = self.factor if len(self.restored) > 6 else 1.0
        seconds = {"restore": factor * (1 + 6 * size), "replay": factor * (1 + 20 * wal / 1024)}
        line = {"repo": 1, "level": "standard", "label": given, "verdict": "passed", "seconds": seconds}
        return json.dumps({**line, "restored_bytes": int(size * GIB), "replayed_bytes": int(wal * MIB)})

    def backup(self, size: float, wal: float) -> dict[str, t.Any]:
        return {
            "repo": 1, "label": str(size), "verdict": "passed", "size": int(size * GIB), "system_id": "7",
            "start_lsn": f"0/{BASE:X}", "stop_lsn": f"0/{BASE + 1:X}", "target": f"0/{BASE + int(wal * MIB):X}",
        }  # fmt: skip


def prepared(host: Host) -> dict[str, t.Any]:
    return forecast_error.prepare(host, *map(forecast_error.sizes, (forecast_error.LEARNED, forecast_error.UNSEEN)))


def test_sizes_are_made_ascending_and_those_to_learn_from_are_restored_twice() -> None:
    host = Host()
    made = prepared(host)
    assert host.wanted == sorted(host.wanted) and len(host.wanted) == 7
    assert [host.wanted[place][0] for place in host.restored] == [0.5, 1.5, 4.0] * 2
    assert [host.wanted[place][0] for place in made["unseen"]] == [0.75, 2.5, 6.0, 8.0]


@pytest.mark.parametrize(("factor", "error"), [(1.0, 0.0), (2.0, 50.0), (0.5, 100.0)])
def test_the_error_is_in_percent_of_what_was_measured(factor: float, error: float) -> None:
    host = Host(factor)
    found = forecast_error.compared(host, prepared(host))
    assert forecast_error.error_of(found) == pytest.approx(error, abs=0.05)
    assert {one["held"] for one in found} == {factor == 1.0}


def test_with_nothing_learned_there_is_no_sample() -> None:
    host = Host()
    with pytest.raises(AssertionError, match="nothing was forecast"):
        forecast_error.compared(host, {**prepared(host), "lines": []})


def test_a_round_compares_what_was_prepared(tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(1.25)
    monkeypatch.setattr(
        forecast_error, "on_host", lambda _bench: lambda verb, given="": "" if verb == "remove" else host(verb, given)
    )
    bench = SimpleNamespace(folder=tmp_path)
    forecast_error.make(bench)
    assert forecast_error.unseen(bench) == {"forecast_error_percent": pytest.approx(20.0, abs=0.05)}
    forecast_error.remove(bench)

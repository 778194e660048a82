# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples become rows: a figure that misses its reach says so, and what was not measured now stays as it was."""

from __future__ import annotations

import typing as t
from pathlib import Path

import results

NOW, COMMAND = "2026-11-23T12:00:00Z", "make bench"


def updated(ours: t.Any, reference: t.Any = None, known: t.Any = None) -> dict[str, dict[str, t.Any]]:
    content = results.updated(known or {}, ours, reference or {}, {"cores": 2}, NOW, COMMAND)
    return {row["id"]: row for row in content["results"]}


def test_a_row_has_what_was_asked_for() -> None:
    row = updated({"host_lost_outage_seconds": [5.0, 6.0, 7.0, 8.0, 9.0]}, {"host_lost_outage_seconds": [25.0, 24.0]})
    found = row["host_lost_outage_seconds"]
    assert (found["unit"], found["n"], found["median"], found["p95"], found["max"]) == ("seconds", 5, 7.0, 8.8, 9.0)
    assert found["reference"] == {"name": "Patroni, its defaults", "median": 24.5, "n": 2, "samples": [25.0, 24.0]}
    assert (found["measured_at"], found["command"], found["reached"]) == (NOW, COMMAND, True)


def test_a_time_is_reached_by_its_median_and_a_loss_by_every_round() -> None:
    found = updated({"host_lost_outage_seconds": [5, 11, 12], "host_lost_rows": [0, 0, 1]})
    assert found["host_lost_outage_seconds"]["reached"] is False
    assert found["host_lost_rows"]["reached"] is False


def test_what_has_to_be_found_is_found_in_every_round() -> None:
    assert updated({"controls_caught": [12, 12]})["controls_caught"]["reached"] is True
    assert updated({"controls_caught": [12, 9]})["controls_caught"]["reached"] is False


def test_a_reach_that_depends_on_the_reference_is_unknown_without_it() -> None:
    assert updated({"pitr_1gb_seconds": [12.0]})["pitr_1gb_seconds"]["reached"] is None
    found = updated({"pitr_1gb_seconds": [17.0]}, {"pitr_1gb_seconds": [4.0]})["pitr_1gb_seconds"]
    assert (found["reach"], found["reached"]) == (16.0, False)


def test_a_reference_that_is_measured_alone_is_set_beside_what_is_known() -> None:
    measured = {"host_lost_rows": [0.0], "rto_error_seconds": [0.01]}
    known = results.updated({}, measured, {}, {}, "before", "make bench x")
    found = updated({}, {"host_lost_rows": [3.0]}, known)
    assert found["host_lost_rows"]["reference"]["median"] == 3.0
    assert (found["host_lost_rows"]["measured_at"], found["rto_error_seconds"]["samples"]) == ("before", [0.01])


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.json"
    assert results.read(path) == {}
    results.write(path, {"results": []})
    assert results.read(path) == {"results": []}
    assert [one.name for one in tmp_path.iterdir()] == ["benchmarks.json"]


def test_a_remark_goes_with_the_samples_that_it_was_about() -> None:
    known = {"remarks": {"host_lost_rows": "one host was slow", "rto_error_seconds": "kept"}}
    content = results.updated(known, {"host_lost_rows": [0.0]}, {}, {}, NOW, COMMAND)
    assert content["remarks"] == {"rto_error_seconds": "kept"}


def test_a_figure_beside_another_one_has_its_samples_as_the_reference() -> None:
    known = results.updated({}, {"host_lost_outage_seconds": [6.0, 7.0]}, {}, {}, "before", "make bench x")
    found = updated({"patroni_host_lost_outage_seconds": [23.0, 22.0]}, known=known)
    row = found["patroni_host_lost_outage_seconds"]
    assert (row["reference"]["samples"], row["reference"]["median"], row["reached"]) == ([6.0, 7.0], 6.5, None)


def test_a_restore_of_5_gb_is_held_against_the_one_by_hand_alone() -> None:
    def reached(ours: float) -> bool:
        return updated({"repo2_restore_5gb_seconds": [ours]}, {"repo2_restore_5gb_seconds": [100.0]})[
            "repo2_restore_5gb_seconds"
        ]["reached"]

    assert (reached(115.0), reached(115.1)) == (True, False)


def test_a_list_of_lost_rows_proves_nothing_where_none_is_lost() -> None:
    found = updated({"partition_async_rows": [40, 0], "partition_async_unlisted_rows": [0, 0]})
    assert found["partition_async_rows"]["reached"] is False
    assert found["partition_async_unlisted_rows"]["reached"] is True


def test_every_figure_is_measured_by_something() -> None:
    """The figures of issues stand in FIGURES; a round that nobody takes would leave one of them out for ever."""
    folder = Path(results.__file__).parent
    takers = [path for path in sorted(folder.glob("*.py")) if path.name != "results.py"]
    rounds = "".join(path.read_text(encoding="utf-8") for path in takers)
    rounds += (folder.parent / "chaos" / "run.py").read_text(encoding="utf-8")
    assert [figure.id for figure in results.FIGURES if f'"{figure.id}"' not in rounds] == []

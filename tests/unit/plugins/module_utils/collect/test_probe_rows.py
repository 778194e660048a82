# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the probe's rows and markers back: only a primary is believed, and the database's own words are told."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import probe_rows
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    InputError,
    RefusedError,
    UnknownError,
)

RUN = "5a1b7a54-7f0a-4a3e-8e0e-5d3f0f4f0001"
DESCRIPTOR = {
    "cluster": "orders",
    "members": [{"name": "pg-a1", "address": "198.18.1.11", "port": 5433, "region": "a", "ssh_port": 22}],
    "gateway": {"host": "gate", "port": 6432, "database": "resilience"},
    "monitor_user": "resilience_monitor",
    "probe_user": "resilience_probe",
    "pgpass": "/etc/fraiseql-resilience/pgpass",
    "ca": "/etc/fraiseql-resilience/tls/ca.crt",
}


class Database:
    """psql's answers, one a call; what it was asked is kept."""

    def __init__(self, *answers: str | CommandFailed) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[list[str], str]] = []

    def run(self, argv: t.Sequence[str], *, timeout: float, stdin: str | None = None, **_more: t.Any) -> Completed:
        assert timeout > 0
        self.asked.append((list(argv), stdin or ""))
        answer = self.answers.pop(0)
        if isinstance(answer, CommandFailed):
            raise answer
        return Completed(tuple(argv), 0, answer, "", 0.01)


@pytest.fixture
def observer(tmp_path: Path) -> probe_rows.Observer:
    path = tmp_path / "observer.json"
    path.write_text(json.dumps(DESCRIPTOR))
    return probe_rows.Observer.read(str(path))


def test_rows_are_read_from_a_primary() -> None:
    database = Database("f\t198.18.1.11\t0000000A\t0/5000148\n0\t1\n3\t12\n")
    found = probe_rows.read_rows(database.run, {}, RUN, timeout=5)
    assert found == probe_rows.ProbeRows(((0, 1), (3, 12)), "198.18.1.11", 10, "0/5000148")
    argv, script = database.asked[0]
    assert f"run={RUN}" in argv
    assert "enable_indexscan = off" in script


def test_a_standby_is_not_believed() -> None:
    with pytest.raises(UnknownError, match="is in recovery"):
        probe_rows.read_rows(Database("t\t198.18.1.12\t0\t0/0\n0\t1\n").run, {}, RUN, timeout=5)


@pytest.mark.parametrize("answer", ["", "0\t1\n"])
def test_rows_without_their_server_are_not_believed(answer: str) -> None:
    with pytest.raises(UnknownError, match="did not say what it is"):
        probe_rows.read_rows(Database(answer).run, {}, RUN, timeout=5)


def test_a_run_that_is_no_uuid_is_never_asked_for() -> None:
    with pytest.raises(ValueError, match="UUID"):
        probe_rows.read_rows(Database().run, {}, "'; DROP TABLE", timeout=5)


def test_an_error_is_told_in_the_databases_words() -> None:
    stderr = 'psql:<stdin>:3: ERROR:  relation "resilience.probe" does not exist\nLINE 2: FROM\n'
    failing = Database(CommandFailed("psql ended with exit code 3", argv=["psql"], rc=3, stderr=stderr))
    with pytest.raises(CommandFailed, match=r'asked: 3: ERROR:  relation "resilience.probe" does not exist'):
        probe_rows.read_rows(failing.run, {}, RUN, timeout=5)


def test_the_connection_leads_through_the_gateway_or_to_a_member(observer: probe_rows.Observer) -> None:
    gateway = observer.connection()
    assert (gateway["host"], gateway["port"], gateway["sslmode"]) == ("gate", 6432, "verify-full")
    member = observer.connection("pg-a1")
    assert (member["host"], member["port"], member["dbname"]) == ("198.18.1.11", 5433, "resilience")
    with pytest.raises(InputError) as caught:
        observer.connection("pg-z9")
    assert caught.value.possible == "pg-a1"


def test_a_host_that_is_no_observer_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this host is no observer"):
        probe_rows.Observer.read(str(tmp_path / "none.json"))


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_damaged_descriptor_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "observer.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is damaged"):
        probe_rows.Observer.read(str(path))


def test_a_connection_string_is_quoted() -> None:
    assert probe_rows.conninfo({"host": "a b", "passfile": "/x'y\\z"}) == "host='a b' passfile='/x\\'y\\\\z'"


@pytest.mark.parametrize(("there", "check_mode", "asked"), [("t", False, 1), ("f", False, 2), ("f", True, 1)])
def test_tables_are_made_once_and_not_in_check_mode(there: str, check_mode: bool, asked: int) -> None:
    database = Database(f"{there}\n", "")
    assert probe_rows.prepare(database.run, {}, timeout=5, check_mode=check_mode) is (there == "f")
    assert len(database.asked) == asked


def test_a_marker_is_written_with_the_position_after_its_commit() -> None:
    database = Database("198.18.1.11\t00000002\t0/5000100\n198.18.1.11\t00000002\t0/5000148\n")
    written = probe_rows.write_marker(database.run, {}, "o'n", restore_point=None, timeout=5)
    assert written == {
        "server": "198.18.1.11", "timeline": 2, "lsn_in_statement": "0/5000100", "lsn": "0/5000148",
    }  # fmt: skip
    argv, script = database.asked[0]
    assert "name=o'n" in argv
    assert "o'n" not in script


def test_a_marker_across_a_change_of_primary_means_nothing() -> None:
    database = Database("198.18.1.11\t00000002\t0/5000100\n198.18.1.12\t00000003\t0/5000148\n")
    with pytest.raises(UnknownError, match="has just changed") as caught:
        probe_rows.write_marker(database.run, {}, "n", restore_point=None, timeout=5)
    assert caught.value.changed is True


def test_a_restore_point_that_may_not_be_made_is_refused_before_anything_is_written() -> None:
    database = Database("f\n")
    with pytest.raises(RefusedError, match="may not make restore points"):
        probe_rows.write_marker(database.run, {}, "n", restore_point="before", timeout=5)
    assert len(database.asked) == 1


def test_a_restore_point_is_made_after_the_commit() -> None:
    database = Database("t\n", "a\t00000002\t0/1\n0/2\na\t00000002\t0/3\n")
    assert probe_rows.write_marker(database.run, {}, "n", restore_point="p", timeout=5)["lsn"] == "0/3"
    assert "pg_create_restore_point" in database.asked[1][1]


def test_a_marker_is_there_or_not() -> None:
    assert probe_rows.read_marker(Database("").run, {}, "n", timeout=5) == probe_rows.Marker("n", False)
    there = probe_rows.read_marker(Database("0/5\t2026-01-01T00:00:00.000000Z\n").run, {}, "n", timeout=5)
    assert there.as_dict() == {
        "name": "n", "present": True, "lsn_in_statement": "0/5", "written_at": "2026-01-01T00:00:00.000000Z",
    }  # fmt: skip

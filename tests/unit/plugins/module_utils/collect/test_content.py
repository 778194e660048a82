# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of real servers: a standby while somebody writes, the primary, a restored copy that is spoiled."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import (
    content,
    content_manifest,
    content_sql,
    content_store,
    scratch,
    scratch_server,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client, lsn_number
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    RefusedError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import content as judge

if t.TYPE_CHECKING:
    from conftest import Member, Protected

STATE = "SELECT pg_get_wal_replay_pause_state()"


def server_of(member: Member) -> LocalServer:
    return LocalServer.of(member.descriptor(), command.run)


@pytest.fixture(scope="module")
def manifest(protected: Protected) -> dict[str, t.Any]:
    place = protected.place(protected.folder)
    client = Client(command.run, "orders", options=(f"--config={place.configuration}",))
    return content_store.get(client, 1, protected.manifest, "a passphrase of a test")


@pytest.fixture(scope="module")
def copy(protected: Protected, manifest: dict[str, t.Any]) -> t.Iterator[LocalServer]:
    """A running copy at the manifest's LSN. Whoever spoils it spoils something of its own."""
    place = protected.place(protected.folder)
    with scratch.alone(place, timeout=1), scratch.made(place, "orders", 1, run=command.run) as one:
        backup = one.client.info(1).backups_of(1)[0]
        one.restore(scratch.Request(backup, lsn_number(protected.lsn), 1), timeout=60)
        with scratch_server.started(one, manifest["cluster"]["settings"], workers=2) as server:
            server.await_answer(timeout=60)
            yield server.sql


def compared(copy: LocalServer, manifest: dict[str, t.Any]) -> dict[str, tuple[str, str]]:
    reading, cluster = content.of_copy(copy, content.Limits(sessions=2))
    now = reading.end()
    now.cluster = cluster
    return {check.name: (check.verdict.value, check.reason) for check in judge.compare(manifest, now.as_dict())}


# A restored copy -----------------------------------------------------------------------------------------------------


def test_a_copy_is_equal_in_everything_although_somebody_wrote_all_the_time(
    copy: LocalServer, manifest: dict[str, t.Any]
) -> None:
    found = compared(copy, manifest)
    assert {name: one for name, one in found.items() if one[0] != "passed"} == {}
    assert manifest["databases"]["postgres"]["relations"]["public.busy"]["rows"] > 20
    assert manifest["how"] == "standby"


#: What happens to the copy, by which check it is found, and what that says.
SPOILED = {
    "a row's last digit": (
        "UPDATE item SET weight = 3.0000000000000004 WHERE id = 21",
        ("content: tables", "public.item has other rows, as many as before"),
    ),
    "one of two equal rows": (
        'DELETE FROM "Odd name; --" WHERE ctid = (SELECT max(ctid) FROM "Odd name; --")',
        ("content: tables", 'public."Odd name; --" has 2 rows and had 3'),
    ),
    "a table": ("DROP TABLE nothing", ("content: tables", "public.nothing is missing")),
    "a table too many": ("CREATE TABLE added (n int)", ("content: tables", "public.added is there and was not")),
    "a sequence": ("SELECT setval('busy_n_seq', 2)", ("content: sequences", "public.busy_n_seq is at 2 and was at")),
    "a large object": (
        "SELECT lo_unlink(4711)",
        ("content: large objects", "pg_largeobject_metadata has 0 rows and had 1"),
    ),
    "an extension": ("DROP EXTENSION hstore CASCADE", ("content: extensions", "postgres: hstore is missing")),
    "an extension's version": (
        "UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'plpgsql'",
        ("content: extensions", "postgres: plpgsql is 0.9 and was 1.0"),
    ),
    "a role": ("DROP ROLE staff", ("content: roles", "staff is missing; membership staff > clerk is missing")),
    "a role's right": ("ALTER ROLE clerk NOCREATEDB", ("content: roles", "clerk is ")),
    "a password": ("ALTER ROLE clerk PASSWORD 'chalk'", ("content: roles", "passwords are not the same")),
    "a tablespace": ("DROP TABLE far; DROP TABLESPACE roomy", ("content: tablespaces", "roomy is missing")),
    "a database": ("CREATE DATABASE more", ("content: databases", "more is there and was not")),
    "a function": (
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ("content: catalogs", r"pg_catalog\.pg_proc has \d+ rows"),
    ),
    "an index": ("DROP INDEX item_weight_idx", ("content: indexes and constraints", "indexes is ")),
    "a setting": ("ALTER DATABASE postgres RESET datestyle", ("content: catalogs", r"pg_catalog\.pg_db_role_setting")),
}


@pytest.mark.sabotage
@pytest.mark.parametrize("spoiled", SPOILED)
def test_what_is_lost_is_found_by_name(copy: LocalServer, manifest: dict[str, t.Any], spoiled: str,
                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(judge, "NAMES", 100_000)
    statement, (name, reason) = SPOILED[spoiled]
    done = copy.script("postgres", statement, timeout=30)
    assert "ERROR" not in done.stderr, done.stderr
    verdict, said = compared(copy, manifest)[name]
    assert verdict == "failed"
    assert re.search(reason, said) or reason in said, said


def test_a_database_that_does_not_tell_what_it_holds_is_an_error(copy: LocalServer) -> None:
    """Never an empty list: nothing would be missing in it."""
    found = content.Content()
    with pytest.raises(CommandFailed, match="does not tell what it holds: ERROR:  lock timeout"):
        content._take_in(
            found, "app", command.Completed(("psql",), 0, '{"sequences": null}\n', "ERROR:  lock timeout", 1.0)
        )


# A standby -----------------------------------------------------------------------------------------------------------


@pytest.mark.sabotage
def test_a_later_manifest_is_not_that_of_the_copy(protected: Protected, manifest: dict[str, t.Any]) -> None:
    """The control of the proof above: at another LSN the same comparison fails."""
    with protected.written_to():
        time.sleep(0.3)
    _lsn, later = content.of_standby(server_of(protected.standby), content.Limits())
    found = {check.name: check for check in judge.compare(manifest, later.as_dict())}
    assert found["content: tables"].verdict.value == "failed"
    assert "public.busy" in found["content: tables"].reason
    assert protected.standby.sql(STATE) == "not paused"


PAUSE = """
import json, sys, time
from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import content
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
with content._paused(LocalServer.of(json.loads(sys.argv[1]), command.run), "resilience-content-test", 2.0):
    print("paused", flush=True)
    time.sleep(60)
"""


def test_replay_goes_on_although_whoever_paused_it_was_killed(protected: Protected) -> None:
    argv = [sys.executable, "-c", PAUSE, json.dumps(protected.standby.descriptor())]
    taker = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert taker.stdout is not None and taker.stdout.readline() == "paused\n"
    assert protected.standby.sql(STATE) == "paused"
    taker.kill()
    taker.wait()
    end = time.monotonic() + 10
    while protected.standby.sql(STATE) != "not paused":
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_pause_of_somebody_else_is_left_alone(protected: Protected) -> None:
    protected.standby.sql("SELECT pg_wal_replay_pause()")
    try:
        with pytest.raises(RefusedError, match="already"):
            content.of_standby(server_of(protected.standby), content.Limits())
        assert protected.standby.sql(STATE) != "not paused"
    finally:
        protected.standby.sql("SELECT pg_wal_replay_resume()")


def test_a_replay_that_went_on_too_early_gives_no_manifest(
    protected: Protected, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = content.Reading.begin

    def interfered(reading: content.Reading, databases: t.Sequence[str]) -> None:
        begin(reading, databases)
        protected.standby.sql("SELECT pg_wal_replay_resume()")

    monkeypatch.setattr(content.Reading, "begin", interfered)
    with pytest.raises(UnknownError, match="went on before"):
        content.of_standby(server_of(protected.standby), content.Limits())
    assert protected.standby.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ 'content'") == "0"


def test_a_standby_that_commits_may_wait_for_is_not_paused_for_long(
    protected: Protected, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    pause = content_sql.pause
    monkeypatch.setattr(content_sql, "pause", lambda token, seconds: asked.append(seconds) or pause(token, seconds))
    server = server_of(protected.standby)
    content.of_standby(server, content.Limits(hold=30.0))
    protected.primary.sql("CREATE ROLE careful")
    protected.primary.sql("ALTER ROLE careful SET synchronous_commit = remote_apply")
    lsn = protected.primary.sql("SELECT pg_current_wal_lsn()")
    content_manifest._await(server, lsn, 10)
    content.of_standby(server, content.Limits(hold=30.0))
    assert asked == [30.0, content.WAITED_FOR_SECONDS]


def test_a_reading_that_cleanup_ended_is_tried_again_with_replay_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float] = []

    def of_standby(_server: LocalServer, limits: content.Limits) -> tuple[str, content.Content]:
        held.append(limits.hold)
        reason = "its reading was ended by a conflict with recovery"
        return "0/1", content.Content(unseen={} if limits.hold else {"app: public.t": reason})

    monkeypatch.setattr(content, "of_standby", of_standby)
    lsn, found = content_manifest._of_standby(LocalServer("", "", 0, "", command.run), content.Limits())
    assert (lsn, found.unseen, held) == ("0/1", {}, [0.0, content_manifest.HOLD_SECONDS])


# A primary -----------------------------------------------------------------------------------------------------------


def test_of_a_primary_what_moved_is_unseen_by_name(protected: Protected) -> None:
    with protected.written_to():
        _lsn, found = content.of_primary(server_of(protected.primary), content.Limits())
    assert "postgres: public.busy" in found.unseen
    assert "public.busy" not in found.databases["postgres"]["relations"]
    assert found.databases["postgres"]["relations"]["public.item"]["rows"] == 4000
    checks = {check.name: check for check in judge.compare(found.as_dict(), found.as_dict())}
    assert checks["content: tables"].verdict.value == "passed"
    assert checks["content: the manifest saw everything"].verdict.value == "unknown"


def test_what_came_and_went_in_between_is_unseen_too() -> None:
    facts = {"rows": 0, "hash": "0", "bytes": 0, "written": 7}
    kinds: dict[str, t.Any] = {"sequences": {}, "extensions": {}, "large_objects": {}, "counts": {}}
    before = content.Content({}, {"app": {"relations": {"public.queue": facts}, **kinds}})
    after = content.Content({}, {"app": {"relations": {"public.queue": {**facts, "written": 9}}, **kinds}})
    assert list(content.unmoved(before, after).unseen) == ["app: public.queue"]


def test_no_setting_of_a_database_changes_a_hash(protected: Protected) -> None:
    server = server_of(protected.primary)
    settings = [
        "extra_float_digits = -10",
        "bytea_output = 'escape'",
        "intervalstyle = 'iso_8601'",
        "timezone = 'Asia/Tokyo'",
    ]

    def hashed() -> t.Any:
        reading, _cluster = content.of_copy(server, content.Limits())
        return reading.end().databases["postgres"]["relations"]["public.item"]["hash"]

    before = hashed()
    for setting in settings:
        protected.primary.sql(f"ALTER DATABASE postgres SET {setting}")
    assert hashed() == before
    for setting in settings:
        protected.primary.sql(f"ALTER DATABASE postgres RESET {setting.split()[0]}")


def test_only_so_many_bytes_are_hashed_the_smallest_first(protected: Protected) -> None:
    reading, _cluster = content.of_copy(server_of(protected.primary), content.Limits(bytes=100_000))
    relations = reading.end().databases["postgres"]["relations"]
    assert relations["public.item"]["hash"] is None
    assert relations["public.item"]["rows"] == 4000
    hashed = [facts["bytes"] for facts in relations.values() if facts["hash"] is not None]
    assert 0 < sum(hashed) <= 100_000
    assert max(hashed) <= min(facts["bytes"] for facts in relations.values() if facts["hash"] is None)

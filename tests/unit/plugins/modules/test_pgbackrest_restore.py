# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbackrest_restore: what it asks of pgBackRest, what it keeps, what it refuses before anything is changed."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import restore
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import pgbackrest_restore

SYSTEM_ID = 7711296582504245999
INFO = [
    {
        "name": "orders",
        "status": {"code": 0, "message": "ok", "lock": {"backup": {"held": False}}},
        "cipher": "aes-256-cbc",
        "repo": [{"key": 1, "cipher": "aes-256-cbc", "status": {"code": 0, "message": "ok"}}],
        "db": [{"id": 1, "repo-key": 1, "system-id": SYSTEM_ID, "version": "17"}],
        "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "17-1", "min": "0" * 23 + "1", "max": "0" * 23 + "9"}],
        "backup": [
            {
                "label": "20261123-100357F",
                "type": "full",
                "archive": {"start": "000000010000000000000003", "stop": "000000010000000000000003"},
                "lsn": {"start": "0/3000028", "stop": "0/3000158"},
                "timestamp": {"start": 1795428237, "stop": 1795428241},
                "database": {"id": 1, "repo-key": 1},
                "error": False,
                "info": {"size": 1000000, "delta": 1000000, "repository": {"size": 1000, "delta": 1000}},
                "reference": None,
            }
        ],
    }
]


class PgBackRest:
    """Answers as pgBackRest and pg_controldata do, and writes pg_control last."""

    def __init__(self, data_dir: Path, *, system_id: int = SYSTEM_ID, dies: bool = False) -> None:
        self.data_dir = data_dir
        self.system_id = system_id
        self.dies = dies
        self.info = copy.deepcopy(INFO)
        self.restores: list[list[str]] = []

    def __call__(self, argv: t.Sequence[str], **_given: t.Any) -> Completed:
        if argv[0].endswith("pg_controldata"):
            return Completed(tuple(argv), 0, f"Database system identifier:           {self.system_id}\n", "", 0.01)
        if "info" in argv:
            return Completed(tuple(argv), 0, json.dumps(self.info), "", 0.01)
        self.restores.append(list(argv))
        (self.data_dir / "PG_VERSION").write_text("17\n")
        if self.dies:
            raise KeyboardInterrupt
        (self.data_dir / "global").mkdir(exist_ok=True)
        (self.data_dir / "global" / "pg_control").write_text("new")
        return Completed(tuple(argv), 0, "", "", 1.5)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> restore.Place:
    monkeypatch.setattr(restore, "STATE", tmp_path / "restore.json")
    monkeypatch.setattr(restore.shutil, "chown", lambda *_given: None)
    data_dir = tmp_path / "main"
    (data_dir / "global").mkdir(parents=True)
    (data_dir / "global" / "pg_control").write_text("old")
    return restore.Place(data_dir, "/usr/lib/postgresql/17/bin", "postgresql@17-main.service", "postgres")


def client(run: PgBackRest) -> Client:
    return Client(run, "orders", user=None)


def kept(place: restore.Place) -> list[str]:
    return sorted(path.name for path in place.data_dir.parent.glob("main.kept-*"))


def test_the_old_data_are_kept_beside_the_restored_ones(place: restore.Place) -> None:
    run = PgBackRest(place.data_dir)
    result = restore.restore(place, restore.Request("default"), client(run), 60, run)
    assert [Path(result["kept"]).name] == kept(place)
    assert (Path(result["kept"]) / "global" / "pg_control").read_text() == "old"
    assert (place.data_dir / "global" / "pg_control").read_text() == "new"


def test_a_target_reaches_pgbackrest_with_its_timeline_and_a_guarded_restore_command(place: restore.Place) -> None:
    run = PgBackRest(place.data_dir)
    restore.restore(place, restore.Request("lsn", "0/5000148", exclusive=True, timeline=3), client(run), 60, run)
    argv = run.restores[0]
    for option in ("--type=lsn", "--target=0/5000148", "--target-exclusive", "--target-timeline=3"):
        assert option in argv
    assert "--target-action=promote" in argv
    [command] = [option for option in argv if "restore_command=" in option]
    assert command.endswith(f'archive-get %f "%p" || {restore.RESTORE_WAL} %f "%p"')


@pytest.mark.parametrize(
    ("direct", "guarded", "code", "asked"),
    [(0, 255, 0, ["direct"]), (1, 1, 1, ["direct", "guard"]), (1, 255, 255, ["direct", "guard"]),
     (103, 0, 0, ["direct", "guard"]), (137, 0, 0, ["direct", "guard"])],
)  # fmt: skip
def test_the_guard_is_asked_for_all_that_did_not_come_at_once_and_has_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct: int, guarded: int, code: int, asked: list[str]
) -> None:
    monkeypatch.setattr(restore, "RESTORE_WAL", str(tmp_path / "guard"))
    for name, answer in (("direct", direct), ("guard", guarded)):
        script = f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/asked\nexit {answer}\n'
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    client = Client(PgBackRest(tmp_path), "orders", user=None, program=str(tmp_path / "direct"))
    [option] = [one for one in restore.Request("default").options(client) if "restore_command=" in one]
    wal = "000000010000000000000003"
    command = option.partition("restore_command=")[2].replace("%f", wal).replace("%p", "pg_wal/RECOVERY XLOG")
    assert subprocess.run(["sh", "-c", command], check=False).returncode == code
    told = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in told] == asked
    assert all(line.endswith(f"{wal} pg_wal/RECOVERY XLOG") for line in told)
    assert "--stanza=orders" in told[0] and "archive-get" in told[0]


@pytest.mark.parametrize(("kind", "forgotten"), [("default", False), ("standby", True), ("immediate", True)])
def test_what_recovery_had_to_reach_is_forgotten_only_where_the_data_are_to_end_elsewhere(
    place: restore.Place, monkeypatch: pytest.MonkeyPatch, kind: str, forgotten: bool
) -> None:
    delivered = place.data_dir.parent / "received-wal"
    monkeypatch.setattr(restore.received_wal, "DELIVERED", delivered)
    delivered.mkdir()
    (delivered / "required.json").write_text('{"require_lsn": "0/5000148"}', encoding="utf-8")
    run = PgBackRest(place.data_dir)
    restore.restore(place, restore.Request(kind), client(run), 60, run)
    assert (delivered / "required.json").exists() is not forgotten


def test_a_standby_asks_again_and_again_so_its_restore_command_is_lenient(place: restore.Place) -> None:
    run = PgBackRest(place.data_dir)
    restore.restore(place, restore.Request("standby", keep=False, delta=True), client(run), 60, run)
    assert any("restore_command=" in option and "--lenient" in option for option in run.restores[0])
    assert "--delta" in run.restores[0]
    assert kept(place) == []


def with_second_repository(info: t.Any) -> None:
    """As the first, which gives no answer."""
    [stanza] = info
    for part, key in (("db", "repo-key"), ("repo", "key")):
        stanza[part].append({**stanza[part][0], key: 2})
    for part in ("archive", "backup"):
        stanza[part].append({**stanza[part][0], "database": {"id": 1, "repo-key": 2}})
    stanza["repo"][0]["status"] = {"code": 99, "message": "[HostConnectError] unable to connect"}


def test_a_standby_is_built_from_a_repository_that_answers(place: restore.Place) -> None:
    run = PgBackRest(place.data_dir)
    with_second_repository(run.info)
    done = restore.restore(place, restore.Request("standby", keep=False, delta=True), client(run), 60, run)
    assert done["repo"] == 2
    assert "--repo=2" in run.restores[0]


def test_another_repository_than_the_first_is_no_ones_choice_but_the_users_where_a_recovery_ends_by_itself(
    place: restore.Place,
) -> None:
    run = PgBackRest(place.data_dir)
    with_second_repository(run.info)
    with pytest.raises(UnknownError):
        restore.plan(place, restore.Request("default"), client(run), run)
    assert restore.plan(place, restore.Request("default", repo=2), client(run), run)["repo"] == 2


def test_a_restore_that_was_cut_off_is_taken_up_and_keeps_the_old_data_once(place: restore.Place) -> None:
    dying = PgBackRest(place.data_dir, dies=True)
    with pytest.raises(KeyboardInterrupt):
        restore.restore(place, restore.Request("default"), client(dying), 60, dying)
    first = kept(place)
    run = PgBackRest(place.data_dir)
    result = restore.restore(place, restore.Request("default"), client(run), 60, run)
    assert kept(place) == first
    assert Path(result["kept"]).name == first[0]
    assert (place.data_dir.parent / first[0] / "global" / "pg_control").read_text() == "old"
    assert (place.data_dir / "global" / "pg_control").read_text() == "new"


def test_a_recovery_that_never_came_to_its_end_is_not_kept_as_if_it_were_the_old_data(place: restore.Place) -> None:
    run = PgBackRest(place.data_dir)
    first = restore.restore(place, restore.Request("default"), client(run), 60, run)
    (place.data_dir / "recovery.signal").touch()
    second = restore.restore(place, restore.Request("default"), client(run), 60, run)
    assert (second["keeps"], second["kept"]) == (False, first["kept"])
    assert len(kept(place)) == 1
    # Once it has ended, what is here has been written to.
    (place.data_dir / "recovery.signal").unlink()
    assert restore.plan(place, restore.Request("default"), client(run), run)["keeps"]


def test_a_folder_that_goes_while_it_is_looked_at_ends_no_plan(
    place: restore.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11's pathlib stumbles over one; what a killed run began still works on while another one plans."""
    (place.data_dir / "base" / "5").mkdir(parents=True)
    (place.data_dir / "PG_VERSION").write_text("17\n" * 2048)
    scandir = os.scandir

    def gone(path: t.Any) -> t.Any:
        if Path(path).name == "5":
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", gone)
    assert place.used_bytes() >= 6144


def test_what_a_cut_off_restore_has_written_needs_no_room_again(
    place: restore.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = PgBackRest(place.data_dir, dies=True)
    with pytest.raises(KeyboardInterrupt):
        restore.restore(place, restore.Request("default"), client(dying), 60, dying)
    size = restore.plan(place, restore.Request("default"), client(dying), dying)["size"]
    (place.data_dir / "base").write_bytes(os.urandom(size))
    monkeypatch.setattr(restore.Place, "free_bytes", lambda _self: int(size * 0.2))
    assert not restore.plan(place, restore.Request("default"), client(dying), dying)["keeps"]
    (place.data_dir / "base").unlink()
    with pytest.raises(RefusedError, match="too small"):
        restore.plan(place, restore.Request("default"), client(dying), dying)


def test_a_repository_of_another_cluster_is_refused_and_nothing_is_touched(place: restore.Place) -> None:
    run = PgBackRest(place.data_dir, system_id=42)
    with pytest.raises(RefusedError, match="another cluster"):
        restore.restore(place, restore.Request("default"), client(run), 60, run)
    assert kept(place) == []
    assert run.restores == []


def with_tablespace(place: restore.Place) -> str:
    elsewhere = place.data_dir.parent / "fast"
    elsewhere.mkdir()
    (place.data_dir / "pg_tblspc").mkdir()
    (place.data_dir / "pg_tblspc/16400").symlink_to(elsewhere)
    return f"there are tablespaces: {elsewhere}"


def as_link(place: restore.Place) -> str:
    disk = place.data_dir.rename(place.data_dir.parent / "disk")
    place.data_dir.symlink_to(disk)
    return f"is a link to {disk}"


@pytest.mark.parametrize("make", [with_tablespace, as_link])
def test_data_that_lie_elsewhere_are_not_kept_by_another_name(
    place: restore.Place, make: t.Callable[[restore.Place], str]
) -> None:
    run, said = PgBackRest(place.data_dir), make(place)
    with pytest.raises(RefusedError, match="cannot be kept") as caught:
        restore.restore(place, restore.Request("default"), client(run), 60, run)
    told = caught.value.as_result()["msg"]
    assert said in told and "resilience_restore_keep=false" in told
    assert (kept(place), run.restores) == ([], [])
    restore.restore(place, restore.Request("default", keep=False), client(run), 60, run)
    assert "--delta" in run.restores[0]


def test_a_mount_point_is_not_renamed(place: restore.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = PgBackRest(place.data_dir)
    monkeypatch.setattr(restore.os.path, "ismount", lambda path: path == place.data_dir)
    with pytest.raises(RefusedError, match="cannot be kept"):
        restore.plan(place, restore.Request("default"), client(run), run)
    restore.plan(place, restore.Request("default", keep=False), client(run), run)


def test_data_of_which_nobody_knows_whose_they_are_are_left_alone(place: restore.Place) -> None:
    run = PgBackRest(place.data_dir)

    def mute(argv: t.Sequence[str], **more: t.Any) -> Completed:
        return Completed(tuple(argv), 0, "Datenbanksystemidentifikation: 7", "", 0.0)

    with pytest.raises(UnknownError, match="which cluster"):
        restore.plan(place, restore.Request("default"), client(run), mute)
    assert run.restores == []


def test_a_running_server_is_refused(place: restore.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = PgBackRest(place.data_dir)
    monkeypatch.setattr(restore.Place, "running", lambda _self: os.getpid())
    with pytest.raises(RefusedError, match="a server runs"):
        restore.restore(place, restore.Request("default"), client(run), 60, run)
    assert run.restores == []


def test_what_a_killed_server_left_is_no_server(place: restore.Place) -> None:
    run = PgBackRest(place.data_dir)
    left = place.data_dir / "postmaster.pid"
    left.write_text("4194304\n/var/lib/postgresql/17/main\n", encoding="utf-8")
    restore.restore(place, restore.Request("standby", keep=False, delta=True), client(run), 60, run)
    assert not left.exists() and run.restores


def test_a_disk_that_is_too_small_is_refused_with_both_sizes(
    place: restore.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = PgBackRest(place.data_dir)
    monkeypatch.setattr(restore.Place, "free_bytes", lambda _self: 1000)
    with pytest.raises(RefusedError, match="too small") as caught:
        restore.plan(place, restore.Request("default"), client(run), run)
    assert "0 MB free" in caught.value.as_result()["msg"]


def test_a_backup_that_is_not_there_names_those_that_are(place: restore.Place) -> None:
    run = PgBackRest(place.data_dir)
    with pytest.raises(InputError) as caught:
        restore.plan(place, restore.Request("default", set="20200101-000000F"), client(run), run)
    assert "20261123-100357F" in caught.value.as_result()["msg"]


@pytest.mark.parametrize(
    "target", ["2026-11-23 09:41:00", "2026-11-23 09:41", "yesterday", "2026-11-23", "2026-11-23 09-30", "now-05"]
)
def test_a_time_without_its_offset_is_refused(target: str) -> None:
    with pytest.raises(InputError, match="its offset from UTC"):
        restore.Request("time", target)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("2026-11-23 09:41:00+00", "2026-11-23 09:41:00+00"),
        ("2026-11-23T09:41:00Z", "2026-11-23 09:41:00+00"),
        ("2026-11-23 09:41:00.5-03:30", "2026-11-23 13:11:00.500000+00"),
        ("2026-11-23 09:41:00+0530", "2026-11-23 04:11:00+00"),
    ],
)
def test_a_time_with_its_offset_is_told_as_pgbackrest_reads_times(target: str, told: str) -> None:
    options = restore.Request("time", target).options(Client(PgBackRest(Path()), "orders"))
    assert f"--target={told}" in options


@pytest.mark.parametrize(("kind", "target"), [("lsn", None), ("time", ""), ("default", "0/1"), ("standby", "x")])
def test_a_target_belongs_to_types_that_have_one(kind: str, target: str | None) -> None:
    with pytest.raises(InputError, match="target"):
        restore.Request(kind, target)


def test_commit_removes_what_restores_kept_and_nothing_else(place: restore.Place) -> None:
    old = place.data_dir.parent / "main.kept-20261123T100000Z"
    old.mkdir()
    assert restore.commit(place, check_mode=True) == [str(old)]
    assert old.exists()
    assert restore.commit(place, check_mode=False) == [str(old)]
    assert not old.exists()
    assert place.whole()


def test_the_module_answers_a_plan_in_check_mode(place: restore.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = PgBackRest(place.data_dir)
    member = {
        "stanza": "orders", "os_user": "postgres", "data_dir": str(place.data_dir), "bin_dir": place.bin_dir,
        "unit": place.unit,
    }  # fmt: skip
    monkeypatch.setattr(pgbackrest_restore.armed, "member", lambda _path: member)
    monkeypatch.setattr(pgbackrest_restore, "run", run)
    given = {
        "state": "restored", "type": "default", "target": None, "exclusive": False, "timeline": None, "repo": None,
        "set": None, "delta": False, "keep": True, "reuse": True, "timeout": 60.0, "descriptor": "member.json",
    }  # fmt: skip
    result = pgbackrest_restore.act(given, check_mode=True)
    assert result["changed"] is True
    assert (result["set"], result["repo"], result["keeps"]) == ("20261123-100357F", 1, True)
    assert run.restores == []
    assert kept(place) == []


@pytest.mark.parametrize(("type_", "target"), [("name", "before-release"), ("immediate", None), ("default", None)])
def test_only_a_moment_of_the_wal_can_be_left_out(type_: str, target: str | None) -> None:
    """pgBackRest would refuse it, but only after the old data were moved away."""
    with pytest.raises(InputError, match="cannot leave its target out"):
        restore.Request(type=type_, target=target, exclusive=True)
    assert restore.Request(type="lsn", target="0/5000148", exclusive=True).exclusive

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WAL that only a receiver has: how much is seen, and that the candidate ends with the very same bytes."""

from __future__ import annotations

import json
import random
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import received_wal
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import received_wal as module

SIZE = 64 * 1024


class Site:
    """A repository host with a receiver, and a candidate. Segments are small; pg_waldump says what a test wants."""

    def __init__(self, folder: Path) -> None:
        self.directory, self.archive = folder / "received", folder / "repo"
        self.data = folder / "main"
        self.directory.mkdir()
        (self.data / "pg_wal").mkdir(parents=True)
        (self.directory / "receiver.json").write_text("{}", encoding="utf-8")
        self.repository = folder / "repository.json"
        self.member = folder / "member.json"
        self.member.write_text(json.dumps({"name": "pg-a2", "data_dir": str(self.data), "os_user": "postgres"}))
        self.receiver: dict[str, str] | None = {"name": "repo-a-receiver", "directory": str(self.directory)}
        self.dumps: dict[str, tuple[str, str]] = {}
        self.asked: list[list[str]] = []

    def run(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        self.asked.append(sorted(path.name for path in Path(argv[2]).iterdir()))
        out, err = self.dumps.get(argv[-1], ("", "pg_waldump: error: could not find a valid record after " + argv[-1]))
        return Completed(tuple(argv), 1, out, err, 0.0)

    def act(self, state: str, **more: t.Any) -> dict[str, t.Any]:
        self.repository.write_text(
            json.dumps(
                {
                    "receiver": self.receiver,
                    "bin_dir": "/pg",
                    "stanza": "lab",
                    "user": "postgres",
                    "repo1_path": str(self.archive),
                }
            )
        )
        descriptor = str(self.member if state == "delivered" else self.repository)
        given = {
            "state": state,
            "timeline": 3,
            "lsn": "0/20100",
            "max_bytes": 2**20,
            "packed": None,
            "require_lsn": None,
        }
        return module.act({**given, "descriptor": descriptor, **more}, False)

    def archived(self, name: str, more: str = "") -> None:
        folder = self.archive / "archive" / "lab" / "17-1" / name[:16]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}-{'a' * 40}.zst{more}").touch()


def record(lsn: str) -> str:
    return f"rmgr: Transaction len (rec/tot): 34/ 34, tx: 9, lsn: {lsn}, prev 0/20000, desc: COMMIT\n"


def ends_at(lsn: str, version: int = 17) -> str:
    what = "expected at least 24, got 0" if version >= 16 else "wanted 24, got 0"
    return f"pg_waldump: error: error in WAL record at 0/20028: invalid record length at {lsn}: {what}\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    monkeypatch.setattr(module, "run", made.run)
    monkeypatch.setattr(received_wal, "DELIVERED", tmp_path / "delivered")
    monkeypatch.setattr(received_wal.shutil, "chown", lambda *_given: None)
    return made


def wal(seed: int, used: int = SIZE) -> bytes:
    return random.Random(seed).randbytes(used) + bytes(SIZE - used)


@pytest.mark.parametrize("version", [15, 17])
def test_a_receiver_that_is_ahead_is_measured_to_the_byte(site: Site, version: int) -> None:
    (site.directory / "000000030000000000000002.partial").write_bytes(wal(1))
    site.dumps["0/20000"] = (record("0/20028") + record("0/20350"), ends_at("0/20378", version))
    found = site.act("measured")
    assert (found["ahead_bytes"], found["end_lsn"], found["require_lsn"]) == (0x278, "0/20378", "0/20351")
    assert "packed" not in found, "WAL is data, and a plain answer is shown"
    assert site.asked == [["000000030000000000000002"]], "pg_waldump does not know .partial"


@pytest.mark.parametrize("lsn", ["0/20378", "0/20400", "0/30000"])
def test_a_candidate_that_has_as_much_gets_nothing(site: Site, lsn: str) -> None:
    (site.directory / "000000030000000000000002.partial").write_bytes(wal(1))
    site.dumps["0/20000"] = (record("0/20350"), ends_at("0/20378"))
    found = site.act("taken", lsn=lsn)
    assert (found["ahead_bytes"], found["packed"]) == (0, "")
    assert "require_lsn" not in found


def test_without_a_receiver_there_is_nothing_to_carry(site: Site) -> None:
    site.receiver = None
    assert site.act("measured") == {"changed": False, "receiver": None, "ahead_bytes": 0, "end_lsn": None}


def test_an_empty_receiver_is_not_ahead(site: Site) -> None:
    assert site.act("measured")["ahead_bytes"] == 0


def test_a_receiver_on_a_later_timeline_stops_it(site: Site) -> None:
    (site.directory / "000000040000000000000002.partial").write_bytes(wal(1))
    with pytest.raises(UnknownError, match="holds WAL of timeline 4, and the candidate is on 3") as error:
        site.act("measured")
    assert error.value.changed is False


def test_older_timelines_do_not_count(site: Site) -> None:
    (site.directory / "000000020000000000000009").write_bytes(wal(1))
    assert site.act("measured")["ahead_bytes"] == 0


def test_a_full_segment_whose_end_nobody_complains_of_reaches_to_its_end(site: Site) -> None:
    (site.directory / "000000030000000000000002").write_bytes(wal(1))
    site.dumps["0/20000"] = (record("0/2FFD0"), 'pg_waldump: error: could not find file "000000030000000000000003"')
    assert site.act("measured")["end_lsn"] == "0/30000"


def test_a_newest_segment_without_a_whole_record_leaves_the_end_to_the_one_before(site: Site) -> None:
    (site.directory / "000000030000000000000002").write_bytes(wal(1))
    (site.directory / "000000030000000000000003.partial").write_bytes(wal(2, 24))
    site.dumps["0/20000"] = (record("0/2FF00"), ends_at("0/2FFE0"))
    found = site.act("taken")
    assert found["end_lsn"] == "0/2FFE0"
    assert [piece["segment"] for piece in received_wal.unpacked(found["packed"])] == ["000000030000000000000002"]


def test_too_much_is_a_refusal_that_names_how_much(site: Site) -> None:
    (site.directory / "000000030000000000000002.partial").write_bytes(wal(1))
    site.dumps["0/20000"] = (record("0/2F350"), ends_at("0/2F378"))
    with pytest.raises(RefusedError, match="62072 bytes") as error:
        site.act("measured", max_bytes=1000)
    assert error.value.next_step


def test_what_the_repository_has_is_not_carried(site: Site) -> None:
    (site.directory / "000000030000000000000002").write_bytes(wal(1))
    (site.directory / "000000030000000000000003.partial").write_bytes(wal(2))
    site.archived("000000030000000000000002")
    site.dumps["0/30000"] = (record("0/30350"), ends_at("0/30378"))
    found = site.act("taken")
    assert [piece["segment"] for piece in received_wal.unpacked(found["packed"])] == ["000000030000000000000003"]
    assert found["ahead_bytes"] == 0x10278


def test_what_a_lost_primary_pushed_half_is_carried(site: Site) -> None:
    (site.directory / "000000030000000000000002").write_bytes(wal(1))
    (site.directory / "000000030000000000000003.partial").write_bytes(wal(2))
    site.archived("000000030000000000000002", ".pgbackrest.tmp")
    site.dumps["0/30000"] = (record("0/30350"), ends_at("0/30378"))
    carried = [piece["segment"] for piece in received_wal.unpacked(site.act("taken")["packed"])]
    assert carried == ["000000030000000000000002", "000000030000000000000003"]


def test_what_lies_before_a_gap_is_left_to_the_repository(site: Site) -> None:
    for name in ("000000030000000000000002", "000000030000000000000004.partial"):
        (site.directory / name).write_bytes(wal(1))
    site.dumps["0/40000"] = (record("0/40350"), ends_at("0/40378"))
    assert [piece["segment"] for piece in received_wal.unpacked(site.act("taken")["packed"])] == [
        "000000030000000000000004"
    ]


@pytest.mark.parametrize("lsn", ["0/20000", "0/20001", "0/21FFF", "0/22000", "0/2FFFF", "0/30000"])
def test_the_candidate_ends_with_the_receivers_very_bytes(site: Site, lsn: str) -> None:
    """Whatever the candidate has of its own up to ``lsn``, and rubbish after it."""
    have = received_wal.lsn_to_int(lsn)
    whole, newest = wal(1), wal(2, 9000)
    (site.directory / "000000030000000000000002").write_bytes(whole)
    (site.directory / "000000030000000000000003.partial").write_bytes(newest)
    site.dumps["0/30000"] = (record("0/32300"), ends_at("0/32328"))
    own = whole[: have - 0x20000] + b"\xee" * (0x30000 - have)
    (site.data / "pg_wal" / "000000030000000000000002").write_bytes(own)

    packed = site.act("taken", lsn=lsn)["packed"]
    laid = site.act("delivered", packed=packed)

    assert laid["changed"] is True
    for name in laid["segments"]:
        expected = whole if name.endswith("2") else newest
        assert (received_wal.DELIVERED / name).read_bytes() == expected
    assert laid["segments"][-1] == "000000030000000000000003"
    assert not list(received_wal.DELIVERED.glob("*.unfinished"))
    assert site.act("delivered", packed=packed) == {"changed": False, "segments": [], "require_lsn": None}


def test_a_run_that_was_cut_off_after_the_receiver_forgot_still_demands_what_it_had(
    site: Site, systemd: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run", site.run)
    (site.directory / "000000030000000000000002.partial").write_bytes(wal(1))
    site.dumps["0/20000"] = (record("0/20350"), ends_at("0/20378"))
    first = site.act("taken", lsn="0/20000")
    required = {"packed": first["packed"], "require_lsn": first["require_lsn"]}
    assert site.act("delivered", **required)["changed"] is True
    assert site.act("delivered", **required)["changed"] is False
    monkeypatch.setattr(module, "run", lambda *_words, **_more: None)
    site.act("set_aside")

    monkeypatch.setattr(module, "run", site.run)
    second = site.act("taken", lsn="0/20000")
    assert (second["packed"], second.get("require_lsn")) == ("", None), "the receiver began anew"
    laid = site.act("delivered", packed=second["packed"])
    assert (laid["changed"], laid["require_lsn"]) == (False, "0/20351")
    assert (received_wal.DELIVERED / "000000030000000000000002").read_bytes()[:8192] == wal(1)[:8192]
    received_wal.forget_demand()
    assert site.act("delivered", packed="")["require_lsn"] is None


def test_the_farther_of_two_demands_counts(site: Site) -> None:
    assert [site.act("delivered", require_lsn=lsn)["require_lsn"] for lsn in ("0/9", "0/10", "0/F", None)] == [
        "0/9", "0/10", "0/10", "0/10",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"require_lsn": "rubbish"}', '{"require_lsn": 5}'])
def test_a_demand_that_cannot_be_read_is_not_taken_for_none(site: Site, text: str) -> None:
    received_wal.DELIVERED.mkdir()
    (received_wal.DELIVERED / received_wal.REQUIRED).write_text(text, encoding="utf-8")
    with pytest.raises(UnknownError, match="cannot be read") as error:
        site.act("delivered")
    assert error.value.next_step


def test_check_mode_lays_nothing(site: Site) -> None:
    piece = {"segment": "000000030000000000000003", "offset": 0, "size": SIZE, "data": ""}
    piece["data"] = received_wal.base64.b64encode(received_wal.zlib.compress(wal(1))).decode()
    member = {"name": "pg-a2", "data_dir": str(site.data), "os_user": "postgres"}
    assert received_wal.deliver(member, [piece], check_mode=True) == ["000000030000000000000003"]
    assert received_wal.demand("0/30378", "postgres", check_mode=True) == "0/30378"
    assert not received_wal.DELIVERED.exists()


def test_a_candidate_without_the_wal_before_it_is_unknown(site: Site) -> None:
    piece = {"segment": "000000030000000000000002", "offset": 8192, "size": SIZE, "data": "eJwDAAAAAAE="}
    with pytest.raises(UnknownError, match="does not have the WAL"):
        site.act("delivered", packed=received_wal.packed([piece]))
    assert not received_wal.DELIVERED.exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "00000003.history", "000000030000000000000002.partial"])
def test_only_segments_are_laid(site: Site, name: str) -> None:
    with pytest.raises(InputError, match="no segment"):
        site.act("delivered", packed=received_wal.packed([{"segment": name, "offset": 0, "size": SIZE, "data": ""}]))


@pytest.mark.parametrize("text", ["rubbish", "e30", "bm90IGpzb24="])
def test_what_was_not_taken_from_a_receiver_is_refused(site: Site, text: str) -> None:
    with pytest.raises(InputError, match="not what module received_wal took"):
        site.act("delivered", packed=text)


def test_a_host_without_a_repository_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no repository"):
        received_wal.describe(str(tmp_path / "repository.json"))


@pytest.fixture
def systemd(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What systemd was told; the repository's user is whoever runs the test."""
    told: list[list[str]] = []
    monkeypatch.setattr(module, "run", lambda argv, **_more: told.append(list(argv)))
    monkeypatch.setattr(received_wal.shutil, "chown", lambda *_words: None)
    assert site.receiver is not None
    site.receiver["unit"] = "receiver.service"
    return told


def test_what_the_receiver_holds_is_kept_aside_and_it_begins_anew(site: Site, systemd: list[list[str]]) -> None:
    (site.directory / "000000030000000000000002.partial").write_bytes(b"acknowledged")
    done = site.act("set_aside")
    assert done["changed"] is True
    assert (Path(done["kept"]) / "000000030000000000000002.partial").read_bytes() == b"acknowledged"
    assert list(site.directory.iterdir()) == []
    assert [argv[1] for argv in systemd] == ["stop", "start"]


def test_a_receiver_that_holds_nothing_keeps_nothing(site: Site, systemd: list[list[str]]) -> None:
    """As after a run that was cut off between the folder's move and its making."""
    (site.directory / "receiver.json").unlink()
    site.directory.rmdir()
    assert site.act("set_aside") == {"changed": False, "kept": None}
    assert site.directory.is_dir()
    assert [argv[1] for argv in systemd] == ["stop", "start"]


class Units:
    """systemd, as far as the receiver's unit goes. ``stubborn``: it does not stop."""

    def __init__(self, active: str, *, stubborn: bool = False) -> None:
        self.active, self.stubborn = active, stubborn
        self.told: list[str] = []

    def __call__(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        self.told.append(" ".join(argv))
        if list(argv[:2]) == ["systemctl", "stop"] and argv[2] == "receiver.service" and not self.stubborn:
            self.active = "inactive"
        return Completed(tuple(argv), 0, f"{self.active}\n", "", 0.0)


def act_on(site: Site, units: Units, monkeypatch: pytest.MonkeyPatch, state: str) -> dict[str, t.Any]:
    monkeypatch.setattr(module, "run", units)
    assert site.receiver is not None
    site.receiver["unit"] = "receiver.service"
    return site.act(state, seconds=60)


def test_a_receiver_is_detached_only_once_its_return_is_certain(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    units = Units("active")
    assert act_on(site, units, monkeypatch, "detached") == {"changed": True}
    returns = next(number for number, told in enumerate(units.told) if "--on-active=60" in told)
    assert returns < units.told.index("systemctl stop receiver.service")
    assert act_on(site, units, monkeypatch, "detached") == {"changed": False}


@pytest.mark.parametrize("found", ["inactive", "activating"])
def test_a_receiver_that_a_killed_run_stopped_is_detached_as_long_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    """Its timer may never have been set, or bring it back while the old primary is being fenced."""
    units = Units(found)
    assert act_on(site, units, monkeypatch, "detached") == {"changed": found != "inactive"}
    [returns] = [number for number, told in enumerate(units.told) if "--on-active=60" in told]
    assert units.told.index("systemctl stop resilience-receiver-back.timer") < returns
    assert returns < units.told.index("systemctl stop receiver.service")


def test_a_receiver_that_does_not_stop_is_not_proven_detached(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownError, match="not proven stopped"):
        act_on(site, Units("active", stubborn=True), monkeypatch, "detached")


def test_a_receiver_is_attached_again_and_its_timer_goes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    units = Units("inactive")
    assert act_on(site, units, monkeypatch, "attached") == {"changed": True}
    assert units.told[1:] == [
        "systemctl start --no-block receiver.service",
        "systemctl stop resilience-receiver-back.timer",
    ]
    assert act_on(site, Units("active"), monkeypatch, "attached") == {"changed": False}

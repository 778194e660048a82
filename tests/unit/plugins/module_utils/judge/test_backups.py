# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a backup that ended well a bad one, each shown red once."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Backup, Database
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backups
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backups import Facts, Manifest, Trend
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Member, Standing
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import Holdings

MB = 1 << 20
BACKUP = Backup(
    label="B_I", type="incr", repo=1, database=1, start_segment="000000010000000000000003",
    stop_segment="000000010000000000000005", start_lsn=0x3000028, stop_lsn=0x5000158, started=1000, stopped=1010,
    size=100 * MB, repository_size=30 * MB, error=False, references=("B",), alone=MB,
)  # fmt: skip
VALUES = {
    "backup-label": "B_I", "backup-type": "incr", "backup-lsn-start": "0/3000028", "backup-lsn-stop": "0/5000158",
    "db-system-id": 77, "option-checksum-page": True, "backrest-version": "2.45", "db-version": "15",
}  # fmt: skip


def segments(*numbers: int) -> dict[str, int]:
    return {f"0000000100000000/00000001000000000000{n:04X}-{n:040x}.zst": n for n in numbers}


def holdings(files: t.Mapping[str, int] | None = None, labels: t.Iterable[str] = ("B", "B_I")) -> Holdings:
    return Holdings(walk(1, files or segments(2, 3, 4, 5, 6), {}), (BACKUP,), frozenset(labels))


def earlier(*sizes: int, kind: str = "incr", **more: t.Any) -> list[dict[str, t.Any]]:
    known = {"type": kind, "repo": 1, "utc": "1970-01-01T00:10:00Z", "stop_lsn": "0/2000000", "system_id": "77"}
    return [{**known, "label": f"E{n}", "size": size, **more} for n, size in enumerate(sizes)]


GOOD = Facts(
    wanted="incr",
    backup=BACKUP,
    database=Database(1, 1, 77, "15"),
    holdings=holdings(),
    manifest=Manifest("ab" * 32, VALUES),
    earlier=earlier(99 * MB, 100 * MB, 101 * MB),
)


def changed(**given: t.Any) -> Facts:
    inner = {name: given.pop(name) for name in list(given) if name in {f.name for f in dataclasses.fields(Backup)}}
    return dataclasses.replace(GOOD, backup=dataclasses.replace(BACKUP, **inner), **given)


def judged(facts: Facts, trend: Trend | None = None) -> tuple[Verdict, dict[str, Check]]:
    checks = backups.judge(facts, trend or Trend())
    return backups.verdict_of(checks), {check.name.removeprefix("backup: "): check for check in checks}


def test_a_good_backup_passes_with_a_reason_for_each_check() -> None:
    verdict, checks = judged(GOOD)
    assert verdict is Verdict.PASSED
    assert all(check.verdict is Verdict.PASSED and check.reason for check in checks.values())
    assert "3 segments" in checks["its WAL is there"].reason


FAILS = {
    "a full one was wanted": (changed(wanted="full"), "type", "less than was asked for"),
    "broken pages": (changed(error=True), "page checksums", "damaged"),
    "a folder that is gone": (changed(holdings=holdings(labels=["B_I"])), "it is there", "not in the repository: B"),
    "a segment is missing": (
        changed(holdings=holdings(segments(3, 5, 6))), "its WAL is there", "000000010000000000000004 is missing",
    ),
    "the last segment is missing": (
        changed(holdings=holdings(segments(3, 4))), "its WAL is there", "000000010000000000000005 is missing",
    ),
    "no WAL at all": (changed(holdings=holdings({"x": 1})), "its WAL is there", "000000010000000000000003"),
    "two servers wrote a segment": (
        changed(holdings=holdings({**segments(3, 4, 5), "0000000100000000/000000010000000000000004-" + "f" * 40: 4})),
        "its WAL is there", "000000010000000000000004 is there twice",
    ),
    "another label": (
        changed(manifest=Manifest("ab", {**VALUES, "backup-label": "X"})), "manifest", "backup-label is X, not B_I",
    ),
    "another cluster": (
        changed(manifest=Manifest("ab", {**VALUES, "db-system-id": 78})), "manifest", "db-system-id is 78, not 77",
    ),
    "other LSNs": (
        changed(manifest=Manifest("ab", {**VALUES, "backup-lsn-stop": "0/6"})), "manifest", "0/6, not 0/5000158",
    ),
    "half the database": (changed(size=49 * MB), "size fits the trend", "0.49 × the median of 3"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAILS)
def test_a_bad_backup_fails_for_its_own_reason_alone(what: str) -> None:
    facts, name, reason = FAILS[what]
    verdict, checks = judged(facts)
    assert verdict is Verdict.FAILED
    assert reason in checks[name].reason
    assert [word for word, check in checks.items() if check.verdict is not Verdict.PASSED] == [name]


UNKNOWN = {
    "nothing is said of pages": (changed(error=None), ["page checksums"]),
    "no data checksums": (
        changed(manifest=Manifest("ab", {**VALUES, "option-checksum-page": False})), ["page checksums"],
    ),
    "no manifest": (changed(manifest=None, unread="the key is wrong"), ["page checksums", "manifest"]),
    "no archive": (changed(holdings=None), ["it is there", "its WAL is there"]),
    "thrice the database and more": (changed(size=301 * MB), ["size fits the trend"]),
    "it ended before it began": (changed(started=1020), ["the clock goes forward"]),
    "a clock that was set back since the last one": (
        changed(earlier=earlier(*[100 * MB] * 3, utc="1970-01-01T02:00:00Z")), ["the clock goes forward"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_was_not_seen_or_may_be_true_is_unknown(what: str) -> None:
    facts, names = UNKNOWN[what]
    verdict, checks = judged(facts)
    assert verdict is Verdict.UNKNOWN
    assert [word for word, check in checks.items() if check.verdict is Verdict.UNKNOWN] == names


def test_an_incremental_one_that_had_to_be_full_passes_and_says_so() -> None:
    values = {**VALUES, "backup-type": "full"}
    facts = changed(type="full", manifest=Manifest("ab", values), earlier=earlier(100, 100, 100, kind="full"))
    assert "nothing for it to build on" in judged(facts, Trend(high=1e9))[1]["type"].reason


def test_the_first_backups_have_no_trend_and_pass() -> None:
    verdict, checks = judged(changed(earlier=earlier(MB, MB), size=100 * MB))
    assert verdict is Verdict.PASSED
    assert checks["size has a trend"].verdict is Verdict.UNKNOWN
    # Another type's sizes are none of its own.
    assert "size has a trend" in judged(changed(earlier=earlier(MB, MB, MB, kind="full")))[1]


def test_the_limits_are_believed_and_a_new_size_becomes_the_usual_one() -> None:
    for size in (50 * MB, 300 * MB):
        assert judged(changed(size=size))[0] is Verdict.PASSED
    grown = earlier(*[100 * MB] * 3, *[400 * MB] * 4)
    assert judged(changed(size=400 * MB, earlier=grown))[0] is Verdict.PASSED
    assert judged(changed(size=49 * MB), Trend(low=0.4))[0] is Verdict.PASSED


def test_no_check_at_all_proves_nothing() -> None:
    assert backups.verdict_of([]) is Verdict.UNKNOWN


def test_a_line_holds_what_the_contract_says() -> None:
    checks = backups.judge(GOOD, Trend())
    line = backups.line(
        stanza="lab", repo=1, wanted="incr", began_utc="a", utc="b", by="timer", checks=checks, took=1.23456
    )
    assert line["label"] is None and line["seconds"] == 1.235 and line["verdict"] == "passed"
    said = {**line, **backups.described(GOOD)}
    assert said["schema"] == "fraiseql.resilience/backup/1"
    assert (said["label"], said["size"], said["repository_size"]) == ("B_I", 100 * MB, MB)
    assert (said["start_lsn"], said["stop_segment"]) == ("0/3000028", "000000010000000000000005")
    assert (said["system_id"], said["timeline"]) == ("77", 1)
    assert said["versions"] == {"pgbackrest": "2.45", "postgresql": "15"}
    assert said["wal_bytes_since_last"] == 0x5000158 - 0x2000000
    assert {"key_id", "from", "manifest_sha256", "checks", "by"} <= said.keys()


def test_wal_is_not_reckoned_across_clusters() -> None:
    assert backups.wal_since(changed(earlier=earlier(1, system_id="78"))) is None
    assert backups.wal_since(changed(earlier=[])) is None


def test_backups_that_the_catalogue_does_not_know_are_found() -> None:
    known = [{"label": None}, {"label": "B_I"}]
    other = dataclasses.replace(BACKUP, label="C")
    assert backups.unlisted([BACKUP, other], known) == [other]


@pytest.mark.parametrize(
    ("wanted", "cut_off", "taken"),
    [
        ("incr", None, "incr"),
        ("incr", {"wanted": "full"}, "full"),
        ("diff", {"wanted": "incr"}, "diff"),
        ("incr", {"wanted": "full", "takes_up": True}, "incr"),  # what kills the host does so once more, not for ever
        ("incr", {}, "incr"),
    ],
)
def test_a_larger_backup_that_was_cut_off_is_taken_up(wanted: str, cut_off: t.Any, taken: str) -> None:
    assert backups.taken_up(wanted, cut_off) == taken


def test_time_left_follows_what_was_seen() -> None:
    assert backups.time_left(30.0, 25.0) == 90.0
    assert backups.time_left(30.0, None) is None and backups.time_left(30.0, 0.5) is None
    assert backups.time_left(30.0, 101.0) == 0.0


def member(name: str, standing: Standing, **more: t.Any) -> Member:
    known = {"written_lsn": "0/5000000", "replayed_lsn": "0/5000000", "receiving_from": "p", "replay_paused": False}
    return Member(name=name, region="a", standing=standing, **{**known, **more})


PRIMARY = member("a1", Standing.PRIMARY)
UNFIT: list[tuple[dict[str, t.Any], str]] = [
    ({"receiving_from": None}, "a2 does not stream"),
    ({"replay_paused": True}, "a2 does not replay"),
    ({"replayed_lsn": "0/0"}, "a2 is 83886080 bytes behind"),
]


def test_the_first_standby_is_read_if_it_is_healthy() -> None:
    first, second = member("a2", Standing.STANDBY), member("b1", Standing.STANDBY)
    assert backups.standby([PRIMARY, first, second]) == ("a2", "")
    assert backups.standby([member("a2", Standing.UNSEEN), PRIMARY, second]) == ("b1", "")
    for fault, why in UNFIT:
        # pgBackRest would take this one, whatever the other is.
        assert backups.standby([PRIMARY, member("a2", Standing.STANDBY, **fault), second]) == (None, why)
    assert backups.standby([PRIMARY])[0] is None
    assert backups.standby([first])[1] == "no member is seen as primary"


def test_the_primary_is_tried_for_a_lost_standby_and_not_for_a_full_repository() -> None:
    for complaint in ("ERROR: [056]: unable to find standby cluster", "ERROR: [103]: Connection refused", ""):
        assert backups.another_source_may_help(complaint)
    for complaint in ("ERROR: [064]: No space left on device", "WARN: x\nERROR: [050]: unable to acquire lock"):
        assert not backups.another_source_may_help(complaint)

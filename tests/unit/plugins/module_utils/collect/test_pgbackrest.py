# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest 2.55 said in a lab, read; and its complaints put into words."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import archive, pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    CommandTimedOut,
    InputError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import wal_chain

FIXTURES = Path(__file__).parent / "fixtures"
INFO = (FIXTURES / "pgbackrest-info.json").read_text(encoding="utf-8")
LISTED = (FIXTURES / "pgbackrest-repo-ls.json").read_text(encoding="utf-8")


def unreadable(message: str) -> str:
    entry = json.loads(INFO)
    entry[0]["repo"][1]["status"] = {"code": 99, "message": message}
    return json.dumps(entry)


def test_info_is_read() -> None:
    stanza = pgbackrest.parse_info(INFO, "lab")
    assert [(repo.number, repo.readable) for repo in stanza.repositories] == [(1, True), (2, True)]
    assert [backup.type for backup in stanza.backups_of(1)][:2] == ["full", "incr"]
    newest = stanza.backups_of(1)[-1]
    assert (newest.timeline, newest.error, len(newest.references)) == (16, False, 4)
    assert newest.as_dict()["stop_lsn"] == pgbackrest.lsn_text(newest.stop_lsn)
    present, held = stanza.present(1), stanza.archive(2)
    assert present is not None and present.version == "17"
    assert held is not None and held.name == "17-1"


def test_a_stanza_that_is_nowhere_is_read_too() -> None:
    missing = {"code": 1, "message": "missing stanza path"}
    said = [{"name": "none", "archive": [], "backup": [], "db": [], "status": missing,
             "repo": [{"key": 1, "cipher": "none", "status": missing}]}]  # fmt: skip
    stanza = pgbackrest.parse_info(json.dumps(said), "none")
    assert (stanza.present(1), stanza.archive(1), stanza.backups_of(1)) == (None, None, ())
    with pytest.raises(InputError):
        stanza.repository(7)


@pytest.mark.parametrize("text", ["", "[]", "{}", '[{"name": "lab"}]'])
def test_what_cannot_be_read_is_unknown(text: str) -> None:
    with pytest.raises(UnknownError):
        pgbackrest.parse_info(text, "lab")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("[CryptoError] unable to verify certificate presented by 'store-b:8333': [20] unable to get", "not trusted"),
        ("[FormatError] unable to load info file\nFormatError: key/value found outside of section at", "key is wrong"),
        ("[HostConnectError] unable to connect to 'repo-a:8432': Connection refused", "cannot be reached"),
        ("something never seen", "something never seen"),
    ],
)
def test_an_exit_code_of_0_hides_nothing(message: str, told: str) -> None:
    """``info`` ends with 0 on an untrusted certificate and on a wrong key."""
    stanza = pgbackrest.parse_info(unreadable(message), "lab")
    pgbackrest.demand_readable(stanza, [1])
    with pytest.raises(UnknownError, match=told):
        pgbackrest.demand_readable(stanza, [1, 2])


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        ("ERROR: [095]: unable to load info\n CryptoError: unable to flush\n HINT: is or was the repo", "key is wrong"),
        ("WARN: unable to connect to x\nERROR: [039]: 403 (Forbidden) SignatureDoesNotMatch", "refuses the key"),
        ("ERROR: [050]: unable to acquire lock on file '/tmp/pgbackrest/lab-backup-1.lock'", "another pgBackRest"),
        ("ERROR: [041]: unable to write: No space left on device", "is full"),
        ("ERROR: [028]: backup info file and archive info file do not match\nHINT: stanza-upgrade", "another cluster"),
        ("WARN: unable to check pg1: unable to connect\nERROR: [056]: unable to find primary cluster", "no primary"),
    ],
)  # fmt: skip
def test_complaints_are_told_in_words(stderr: str, told: str) -> None:
    def run(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        raise CommandFailed("ended", argv=argv, rc=1, stderr=stderr)

    with pytest.raises(CommandFailed, match=told) as caught:
        pgbackrest.Client(run, "lab").call("backup")
    assert caught.value.next_step and caught.value.stderr_tail == stderr


def test_a_repository_that_never_answers_is_explained() -> None:
    def run(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        raise CommandTimedOut("killed", argv=argv)

    with pytest.raises(CommandTimedOut) as caught:
        pgbackrest.Client(run, "lab").info()
    assert "repository" in (caught.value.next_step or "")


def test_a_wrong_keys_garbage_is_read_past() -> None:
    """Decrypted with a wrong key, a file is noise, and ``info`` quotes it raw."""
    text = unreadable("key/value found outside of section at line 1: NOISE").replace("NOISE", "\x01\x0b\ufffd")
    with pytest.raises(UnknownError, match="key is wrong"):
        pgbackrest.demand_readable(pgbackrest.parse_info(text, "lab"), [2])


def test_files_are_listed() -> None:
    files = pgbackrest.parse_listing(LISTED)
    assert sum(name.endswith(".history") for name in files) == 15
    assert files["0000000100000000"] is None
    assert pgbackrest.parse_listing('{".":{"type":"path"}}') == {}
    with pytest.raises(UnknownError):
        pgbackrest.parse_listing("[]")


def test_versions_are_compared_as_numbers() -> None:
    assert pgbackrest.parse_version("pgBackRest 2.55.1\n") > pgbackrest.parse_version("pgBackRest 2.45")
    with pytest.raises(UnknownError):
        pgbackrest.parse_version("no")


def test_an_lsn_is_a_number() -> None:
    assert pgbackrest.lsn_number("1/A000028") == (1 << 32) + 0xA000028
    assert pgbackrest.lsn_text((1 << 32) + 0xA000028) == "1/A000028"
    with pytest.raises(InputError):
        pgbackrest.lsn_number("tomorrow")


DUMP = """\
rmgr: Heap        len (rec/tot):     71/    71, tx:        760, lsn: 0/05000110, prev 0/050000D8, desc: INSERT off: 9
rmgr: Transaction len (rec/tot):     46/    46, tx:        760, lsn: 0/05000158, prev 0/05000110, desc: COMMIT 2026-11-23 10:59:27.978563 UTC
rmgr: XLOG        len (rec/tot):     24/    24, tx:          0, lsn: 0/05000188, prev 0/05000158, desc: SWITCH
"""  # noqa: E501


def test_the_last_record_and_the_last_commit_are_read_from_the_wal() -> None:
    record, commit = archive.parse_dump(DUMP)
    assert record == 0x5000188
    assert commit == pytest.approx(1795431567.978563)
    assert archive.parse_dump("") == (None, None)


class Repository:
    """repo-ls and repo-get of one repository, and pg_waldump over what was fetched."""

    def __init__(self, dumps: dict[str, str]) -> None:
        self.dumps = dumps
        self.read: list[str] = []

    def __call__(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        out = ""
        if argv[0] == "pgbackrest":
            out = '{".":{"type":"path"}}'
            if argv[-1].startswith("backup/"):
                labels = {b["label"]: {"type": "path"} for b in json.loads(INFO)[0]["backup"]}
                out = json.dumps({**labels, "latest": {"type": "link"}})
            elif argv[-1].endswith(".history"):
                self.read.append(Path(argv[-1]).name)
                out = (FIXTURES / "00000010.history").read_text(encoding="utf-8")
                lines = out.splitlines(keepends=True)
                out = "".join(line for line in lines if line.strip()[:2].strip() and older(line, argv[-1]))
            elif argv[-1].startswith("archive/"):
                out = LISTED
        elif argv[0].endswith("pg_waldump"):
            out = self.dumps.get(Path(argv[1]).name, "")
        return Completed(tuple(argv), 0, out, "", 0.1)


def older(line: str, path: str) -> bool:
    return int(line.partition("\t")[0]) < int(Path(path).stem, 16)


def test_a_real_archive_of_sixteen_timelines_is_whole() -> None:
    stanza = pgbackrest.parse_info(INFO, "lab")
    client = pgbackrest.Client(Repository({}), "lab")
    held = archive.holdings(client, stanza, 1, "/bin")
    assert held.chain.newest() == 16
    assert [n for n, _left in held.chain.lineage(16)] == list(range(1, 17))
    assert held.chain.lost_histories == () and held.chain.unknown_files == ()
    assert held.labels >= {backup.label for backup in held.backups}
    reach = held.chain.reach(16, 1, held.backups[0].start_lsn)
    assert not reach.reason


class Moving(Repository):
    """One that changes while it is asked: a segment comes after the first list, a backup expires after ``info``."""

    def __init__(self, *, comes: str = "", expires: str = "") -> None:
        super().__init__({})
        self.comes, self.expires = comes, expires

    def __call__(self, argv: t.Sequence[str], **more: t.Any) -> Completed:
        done = super().__call__(argv, **more)
        said = done.stdout
        if "info" in argv:
            entry = json.loads(INFO)
            entry[0]["backup"] = [one for one in entry[0]["backup"] if one["label"] != self.expires]
            said = json.dumps(entry)
        elif argv[-1].startswith("backup/"):
            said = json.dumps({label: kind for label, kind in json.loads(said).items() if label != self.expires})
        elif "repo-ls" in argv and self.comes:
            said = json.dumps({path: file for path, file in json.loads(said).items() if self.comes not in path})
            self.comes = ""
        return Completed(done.argv, 0, said, "", 0.1)


def test_a_segment_that_comes_after_the_next_one_is_no_gap() -> None:
    """Several are pushed at a time, and a list of many files is no picture of one moment."""
    stanza = pgbackrest.parse_info(INFO, "lab")
    client = pgbackrest.Client(Moving(comes="00000010000000000000004B"), "lab")
    assert archive.holdings(client, stanza, 1, None).chain.timelines[16].gaps == ()


def test_a_backup_that_expires_meanwhile_is_not_missing() -> None:
    stanza = pgbackrest.parse_info(INFO, "lab")
    gone = stanza.backups_of(1)[-1].label
    held = archive.holdings(pgbackrest.Client(Moving(expires=gone), "lab"), stanza, 1, None)
    assert [one.label for one in stanza.backups_of(1)[:-1]] == [one.label for one in held.backups]


def test_one_history_tells_of_all_ancestors() -> None:
    repository = Repository({})
    client = pgbackrest.Client(repository, "lab")
    paths = [f"{number:08X}.history" for number in (2, 5, 16)]
    histories = archive.read_histories(client, 1, "archive/lab/17-1", paths)
    assert {number: wal_chain.parse_history(text) for number, text in histories.items()} == {
        number: wal_chain.parse_history(client.read(1, f"archive/lab/17-1/{number:08X}.history"))
        for number in (2, 5, 16)
    }
    assert repository.read == ["00000010.history"] + [f"{number:08X}.history" for number in (2, 5, 16)]


def test_a_segment_without_a_commit_sends_the_reader_one_further_back() -> None:
    stanza = pgbackrest.parse_info(INFO, "lab")
    names = {name.rpartition("/")[2][:24] for name in json.loads(LISTED) if name.startswith("0000001000000000/0")}
    before, last = sorted(names)[-2:]
    switch = DUMP.splitlines()[-1].replace("0/05000188", "0/FF000028")
    client = pgbackrest.Client(Repository({last: switch, before: DUMP}), "lab")
    [end] = archive.holdings(client, stanza, 1, "/bin").ends.values()
    assert (end.last_record, end.commit_time) == (0xFF000028, pytest.approx(1795431567.978563))

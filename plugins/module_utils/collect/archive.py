# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of one repository: every name in it, the histories, and what its last segments say.

Sources: ``pgbackrest repo-ls`` and ``repo-get`` (decrypts, does not decompress), ``pg_waldump``.
"""

from __future__ import annotations

import re
import tempfile
import typing as t
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client, Stanza, lsn_number
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import Chain, walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import End, Holdings

#: pg_waldump's lines: where a record begins, and when a transaction ended.
RECORD = re.compile(r"lsn: ([0-9A-F]+/[0-9A-F]+), prev")
ENDED = re.compile(
    r"desc: (?:COMMIT|ABORT|COMMIT_PREPARED|ABORT_PREPARED) .*?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC"
)
#: Segments that are read back for the last commit: an idle cluster switches segments without one.
SEGMENTS_READ = 6
DECOMPRESS = {"gz": "gzip", "zst": "zstd", "lz4": "lz4", "bz2": "bzip2"}


def holdings(client: Client, stanza: Stanza, repo: int, bin_dir: str | None, timeline: int | None = None) -> Holdings:
    """What a repository holds of the stanza's present cluster.

    :param bin_dir: where pg_waldump is; None leaves the end of the WAL unread.
    :param timeline: whose end is read; by default the one that was archived last.
    """
    held, folder, files = _listed(client, stanza, repo)
    if _doubtful(held):
        # Meanwhile WAL comes, several segments at a time, and backups expire; what is missing is missing twice.
        held, folder, files = _listed(client, client.info(repo), repo)
    number = timeline or held.chain.newest()
    ends: dict[int, End] = {}
    if bin_dir is not None and number is not None and number in held.chain.timelines:
        ends[number] = read_end(client, repo, folder, held.chain, number, files, bin_dir)
    return replace(held, ends=ends)


def _listed(client: Client, stanza: Stanza, repo: int) -> tuple[Holdings, str, list[str]]:
    """One look; with the archive's folder, and its files."""
    archive = stanza.archive(repo)
    folder = f"archive/{stanza.name}/{archive.name}" if archive is not None else ""
    listed = client.files(repo, folder) if folder else {}
    files = {path: file.time for path, file in listed.items() if file is not None}
    chain = walk(repo, files, read_histories(client, repo, folder, files))
    labels = frozenset(client.files(repo, f"backup/{stanza.name}", recurse=False))
    return Holdings(chain, stanza.backups_of(repo), labels), folder, list(files)


def _doubtful(held: Holdings) -> bool:
    """Is something missing that one who archives, or lets backups expire, could have moved between two questions?"""
    newest = held.chain.newest()
    gaps = newest is not None and held.chain.timelines[newest].gaps
    return bool(gaps) or any(not {one.label, *one.references} <= held.labels for one in held.backups)


def read_histories(client: Client, repo: int, folder: str, files: t.Iterable[str]) -> dict[int, str]:
    """Each timeline's history. PostgreSQL copies the parent's and adds a line, so one file tells of all ancestors."""
    numbers = sorted((int(path[:8], 16) for path in files if path.endswith(".history")), reverse=True)
    histories: dict[int, str] = {}
    for number in numbers:
        if number in histories:
            continue
        histories[number] = client.read(repo, f"{folder}/{number:08X}.history")
        before = ""
        for line in histories[number].splitlines(keepends=True):
            ancestor = line.split("\t", maxsplit=1)[0].strip()
            if ancestor.isdigit() and int(ancestor) in numbers:
                histories.setdefault(int(ancestor), before)
            before += line
    return histories


def read_end(
    client: Client, repo: int, folder: str, chain: Chain, timeline: int, files: t.Sequence[str], bin_dir: str
) -> End:
    """The last record and the last commit of a timeline, read from its last segments."""
    paths = {path.rpartition("/")[2][:24]: path for path in files if "-" in path.rpartition("/")[2]}
    spans = chain.timelines[timeline].spans
    last = spans[-1] if spans else None
    end = End()
    if last is None:
        return end
    for segment in range(last.last, max(last.first, last.last - SEGMENTS_READ + 1) - 1, -1):
        name = chain.name(timeline, segment)
        record, commit = dump(client, repo, f"{folder}/{paths[name]}", name, bin_dir)
        end = End(end.last_record if end.last_record is not None else record, commit)
        if commit is not None:
            break
    return end


def dump(client: Client, repo: int, path: str, name: str, bin_dir: str) -> tuple[int | None, float | None]:
    """One archived segment: begin of its last record, time of its last commit or abort."""
    with tempfile.TemporaryDirectory(prefix="resilience-wal-") as directory:
        Path(directory).chmod(0o700)
        file = Path(directory) / name
        fetch(client, repo, path, file)
        return parse_dump(waldump(client.run, file, bin_dir, client.timeout))


def fetch(client: Client, repo: int, path: str, file: Path) -> None:
    """A file of the repository, decrypted and decompressed. Only a shell can pipe what is no text."""
    program = DECOMPRESS.get(path.rpartition(".")[2])
    script = 'out=$1; unpack=$2; shift 2; "$@" | { if [ -n "$unpack" ]; then "$unpack" -dc; else cat; fi; } > "$out"'
    get = client.argv("--log-level-console=off", f"--repo={repo}", "repo-get", path)
    become = ["runuser", "-u", client.user, "--"] if client.user else []
    client.run(
        ["bash", "-o", "pipefail", "-c", script, "fetch", str(file), program or "", *become, *get],
        timeout=client.timeout,
    )


def waldump(run: Runner, file: Path, bin_dir: str, timeout: float) -> str:
    """pg_waldump's lines of one segment. It ends with 1 where the segment's last page is not full: that is no error."""
    done = run([f"{bin_dir}/pg_waldump", str(file)], timeout=timeout, check=False)
    if done.rc not in (0, 1):
        raise CommandError(f"pg_waldump cannot read {file.name}", argv=done.argv, rc=done.rc, stderr=done.stderr)
    return done.stdout


def parse_dump(text: str) -> tuple[int | None, float | None]:
    """The last record's begin, and the last end of a transaction (seconds since 1970)."""
    record = commit = None
    for line in text.splitlines():
        begin = RECORD.search(line)
        if begin is not None:
            record = lsn_number(begin.group(1))
        ended = ENDED.search(line)
        if ended is not None:
            moment = datetime.fromisoformat(ended.group(1)[:26]).replace(tzinfo=timezone.utc).timestamp()
            commit = moment if commit is None else max(commit, moment)
    return record, commit

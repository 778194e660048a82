# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository itself shows of a backup, and what pgBackRest's configuration and log say of it."""

from __future__ import annotations

import collections
import hashlib
import json
import re
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import archive
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Backup, Client, Stanza
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backups import Facts, Manifest
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import Holdings
from ansible_collections.fraiseql.resilience.plugins.module_utils.key_id import key_id

#: Where a repository keeps the catalogue: beside pgBackRest's own folders, which it never looks out of.
FOLDER = "resilience"
#: A line of pgBackRest's detailed log: which file was copied, and from which host unless it is this one.
COPIED = re.compile(r"P\d+ +DETAIL: backup file (?:([^\s:/]+):)?/")
_VALUE = re.compile(r"([a-z-]+)=(.+)")


def facts(
    client: Client,
    stanza: Stanza,
    repo: int,
    backup: Backup,
    *,
    wanted: str,
    earlier: t.Sequence[t.Mapping[str, t.Any]],
    held: Holdings | None = None,
) -> Facts:
    """Look at a backup and its WAL in the repository. What cannot be read stays None, with the reason.

    :param held: the repository's holdings, where they have just been listed.
    """
    unread: list[str] = []
    manifest: Manifest | None = None
    try:
        held = held or archive.holdings(client, stanza, repo, None)
    except ResilienceError as error:
        unread.append(str(error))
    try:
        manifest = read_manifest(client, repo, backup.label)
    except ResilienceError as error:
        unread.append(str(error))
    return Facts(
        wanted=wanted,
        backup=backup,
        database=stanza.present(repo),
        holdings=held,
        manifest=manifest,
        earlier=earlier,
        unread="; ".join(unread),
    )


def read_manifest(client: Client, repo: int, label: str) -> Manifest:
    """A backup's manifest. Its checksum is that of the file as ``repo-get`` gives it, byte by byte."""
    with tempfile.TemporaryDirectory(prefix="resilience-manifest-") as directory:
        file = Path(directory) / "backup.manifest"
        archive.fetch(client, repo, f"backup/{client.stanza}/{label}/backup.manifest", file)
        raw = file.read_bytes()
    return parse_manifest(raw)


def parse_manifest(raw: bytes) -> Manifest:
    """The values above the list of files.

    :raises UnknownError: this is no manifest.
    """
    head = raw.partition(b"\n[target:file]")[0].decode("utf-8", "replace")
    values = {}
    for line in head.splitlines():
        match = _VALUE.fullmatch(line)
        if match is not None:
            try:
                values[match[1]] = json.loads(match[2])
            except ValueError:
                continue
    values.pop("cipher-pass", None)  # of the backup's files; nobody is to have it in hands by chance
    if "backup-label" not in values:
        raise UnknownError("a backup's manifest cannot be read: it names no backup")
    return Manifest(hashlib.sha256(raw).hexdigest(), values)


def read_from(said: str, members: t.Sequence[t.Mapping[str, t.Any]]) -> str | None:
    """The member that most files were copied from, by pgBackRest's detailed log; None where it names no host."""
    hosts = collections.Counter(match[1] for match in map(COPIED.search, said.splitlines()) if match and match[1])
    if not hosts:
        return None
    host = hosts.most_common(1)[0][0]
    return next((str(one["name"]) for one in members if host in (one["address"], one["name"])), host)


def passphrase(configuration: str, repo: int) -> str | None:
    """A repository's passphrase in the text of pgbackrest.conf; None where it is not encrypted."""
    found = re.search(rf"^repo{repo}-cipher-pass=(.*)$", configuration, re.MULTILINE)
    return found[1].strip() if found else None


def named_key(path: Path, repo: int) -> str | None:
    """The name of a repository's key, of which the key itself cannot be told."""
    try:
        phrase = passphrase(path.read_text(encoding="utf-8"), repo)
    except OSError:
        return None
    return key_id(phrase) if phrase else None


def copy_name(stanza: str) -> str:
    return f"{FOLDER}/{stanza}/catalogue.jsonl"


def put_copy(client: Client, repo: int, content: str) -> None:
    """Put the catalogue into a repository, in plain text, and read it back.

    :raises ResilienceError: it is not there, or not as it should be.
    """
    path = copy_name(client.stanza)
    argv = client.argv("--log-level-console=off", "--log-level-stderr=warn", f"--repo={repo}", "--raw")
    client.run([*argv, "repo-put", path], timeout=client.timeout, user=client.user, stdin=content)
    if client.run([*argv, "repo-get", path], timeout=client.timeout, user=client.user).stdout != content:
        raise UnknownError(f"repository {repo} holds another catalogue than the one that was put there")

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest says of a stanza: backups, archives, repositories, files.

Its exit code proves little: ``info`` ends with 0 while a repository's certificate is not trusted, its key wrong or the
stanza missing, so each repository's own status is read. Errors are told in words that name the next step.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed, Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    CommandTimedOut,
    InputError,
    UnknownError,
)

#: Status codes of ``info``, for a stanza and for each repository.
OK, NO_STANZA, NO_BACKUP, NO_DATA, MIXED, OTHER = 0, 1, 2, 3, 4, 99
#: A repository with one of these can be read.
READABLE = (OK, NO_BACKUP)
#: Its exit code when another process holds the stanza's lock.
LOCKED = 50

WRONG_KEY = "the repository's key is wrong"
#: What pgBackRest's complaint means, and what to do; the first that fits is told.
MEANINGS: tuple[tuple[str, str, str], ...] = (
    (
        r"CryptoError: unable to flush|is or was the repo encrypted|key/value found outside of section",
        WRONG_KEY,
        "check resilience_cipher_passphrase; a stanza keeps the passphrase that it was created with",
    ),
    (
        r"unable to verify certificate|certificate verify failed|unable to find hostname",
        "the certificate of the repository is not trusted",
        "check the authority (pgbackrest_s3_ca_file, resilience_tls_ca) and the name in the certificate",
    ),
    (
        r"SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied|403 \(Forbidden\)",
        "the object store refuses the key",
        "check pgbackrest_s3_key, pgbackrest_s3_key_secret and what they may do in the bucket",
    ),
    (
        r"NoSuchBucket|404 \(Not Found\)",
        "the object store does not know the bucket",
        "create it, or correct pgbackrest_s3_bucket",
    ),
    (
        r"No space left on device|Disk quota exceeded|507 |InsufficientStorage",
        "a repository is full",
        "make room or raise the disk; nothing that is kept was removed",
    ),
    (
        r"do not match the database|does not match|system-id|stanza-upgrade",
        "the stanza belongs to another cluster, or to this one before an upgrade",
        "compare the system identifiers (pgbackrest_info, pg_controldata); never delete a stanza to get on",
    ),
    (
        r"unable to acquire lock",
        "another pgBackRest process works on this stanza",
        "wait until it has ended (pgbackrest_info shows its progress), then run this again",
    ),
    (
        r"WAL segment .* was not archived before|\[082\]",
        "WAL does not arrive in a repository in time",
        "look at archive_command's errors on the primary (pg_stat_archiver, /var/log/pgbackrest)",
    ),
    (
        r"stop file exists",
        "pgBackRest was stopped on purpose",
        "pgbackrest start, once the reason is gone",
    ),
    (
        r"no database found|unable to find primary cluster",
        "no primary could be reached",
        "see that PostgreSQL runs on one member as primary, and that pgbackrest.service runs there",
    ),
    (
        r"unable to connect|Connection refused|unable to get address|timeout connecting|HostConnectError",
        "a host cannot be reached",
        "see that the repository host's pgbackrest.service, or the object store, answers",
    ),
)


@dataclass(frozen=True)
class Repository:
    """One repository's state. ``code`` is one of pgBackRest's status codes."""

    number: int
    cipher: str
    code: int
    message: str

    @property
    def readable(self) -> bool:
        return self.code in READABLE

    def as_dict(self) -> dict[str, t.Any]:
        return {"repo": self.number, "cipher": self.cipher, "code": self.code, "message": self.message.split("\n")[0]}


@dataclass(frozen=True)
class Database:
    """A cluster that a stanza in a repository has held; the highest ``number`` is the present one."""

    number: int
    repo: int
    system_id: int
    version: str


@dataclass(frozen=True)
class Archive:
    """A directory of WAL. ``first`` and ``last`` hide what is missing in between."""

    name: str
    repo: int
    database: int
    first: str | None
    last: str | None


@dataclass(frozen=True)
class Backup:
    """One backup. LSNs are integers, times whole seconds since 1970, sizes bytes.

    ``repository_size`` is what a restore reads, ``alone`` what this backup added.
    ``error`` is pgBackRest's flag for broken page checksums, which do not fail a backup; None when it says nothing.
    """

    label: str
    type: str
    repo: int
    database: int
    start_segment: str
    stop_segment: str
    start_lsn: int
    stop_lsn: int
    started: int
    stopped: int
    size: int
    repository_size: int
    error: bool | None
    references: tuple[str, ...] = ()
    alone: int | None = None

    @property
    def timeline(self) -> int:
        return int(self.stop_segment[:8], 16)

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "label": self.label,
            "type": self.type,
            "repo": self.repo,
            "timeline": self.timeline,
            "start_segment": self.start_segment,
            "stop_segment": self.stop_segment,
            "start_lsn": lsn_text(self.start_lsn),
            "stop_lsn": lsn_text(self.stop_lsn),
            "started": self.started,
            "stopped": self.stopped,
            "size": self.size,
            "repository_size": self.repository_size,
            "error": self.error,
            "references": list(self.references),
        }


@dataclass(frozen=True)
class Stanza:
    """All that ``info`` tells of a stanza."""

    name: str
    code: int
    message: str
    repositories: tuple[Repository, ...]
    databases: tuple[Database, ...]
    archives: tuple[Archive, ...]
    backups: tuple[Backup, ...]
    backup_running: bool
    percent_complete: float | None = None

    def repository(self, number: int) -> Repository:
        for repository in self.repositories:
            if repository.number == number:
                return repository
        raise InputError(
            f"stanza {self.name} has no repository {number}",
            given=number,
            possible=[repository.number for repository in self.repositories],
        )

    def present(self, repo: int) -> Database | None:
        """The cluster that a repository's stanza holds now."""
        found = [database for database in self.databases if database.repo == repo]
        return max(found, key=lambda database: database.number, default=None)

    def archive(self, repo: int) -> Archive | None:
        """The directory of WAL of the present cluster."""
        database = self.present(repo)
        if database is None:
            return None
        found = [a for a in self.archives if a.repo == repo and a.database == database.number]
        return found[-1] if found else None

    def backups_of(self, repo: int) -> tuple[Backup, ...]:
        """Backups of the present cluster, oldest first."""
        database = self.present(repo)
        if database is None:
            return ()
        return tuple(b for b in self.backups if b.repo == repo and b.database == database.number)


@dataclass(frozen=True)
class File:
    """A file of a repository: its size in bytes, and when it was written (seconds since 1970)."""

    name: str
    size: int
    time: int


@dataclass(frozen=True)
class Client:
    """pgBackRest for one stanza, run as its own user. ``options`` go with each command."""

    run: Runner
    stanza: str
    user: str | None = "postgres"
    program: str = "pgbackrest"
    options: tuple[str, ...] = ()
    timeout: float = 120.0
    env: t.Mapping[str, str] = field(default_factory=dict)

    def argv(self, *arguments: str) -> list[str]:
        return [self.program, f"--stanza={self.stanza}", *self.options, *arguments]

    def call(
        self, *arguments: str, timeout: float | None = None, level: str = "off", stderr_level: str = "warn"
    ) -> Completed:
        """One command. ``level``: what it logs to its output; ``stderr_level``: and to its errors.

        :raises CommandFailed: with the meaning of pgBackRest's complaint and the next step.
        """
        argv = self.argv(f"--log-level-console={level}", f"--log-level-stderr={stderr_level}", *arguments)
        try:
            return self.run(argv, timeout=timeout or self.timeout, user=self.user, env=self.env)
        except CommandTimedOut as error:
            error.next_step = error.next_step or "see that each repository answers; an unreachable one is retried long"
            raise
        except CommandFailed as error:
            raise explained(error) from error

    def version(self) -> tuple[int, ...]:
        done = self.run([self.program, "version"], timeout=self.timeout, user=self.user)
        return parse_version(done.stdout)

    def info(self, repo: int | None = None) -> Stanza:
        """What the repositories hold, or one of them: another one that does not answer costs its whole timeout."""
        only = [] if repo is None else [f"--repo={repo}"]
        return parse_info(self.call(*only, "info", "--output=json").stdout, self.stanza)

    def files(self, repo: int, folder: str, *, recurse: bool = True) -> dict[str, File | None]:
        """Files below a repository's folder by relative path; None for a directory."""
        arguments = [f"--repo={repo}", "repo-ls", "--output=json", folder]
        if recurse:
            arguments.insert(2, "--recurse")
        return parse_listing(self.call(*arguments).stdout)

    def read(self, repo: int, path: str) -> str:
        """A text file of a repository, decrypted."""
        return self.call(f"--repo={repo}", "repo-get", path).stdout


def parse_version(text: str) -> tuple[int, ...]:
    """``pgBackRest 2.55.1`` to ``(2, 55, 1)``."""
    found = re.search(r"(\d+(?:\.\d+)+)", text)
    if found is None:
        raise UnknownError(f"pgbackrest's version cannot be read from {text.strip()!r}")
    return tuple(int(part) for part in found.group(1).split("."))


def parse_info(text: str, name: str) -> Stanza:
    """``pgbackrest info --output=json`` for one stanza.

    :raises UnknownError: when it says nothing that can be read.
    """
    try:
        # With a wrong key it quotes what it read, control characters and all, inside a JSON string.
        [entry] = [stanza for stanza in json.loads(text, strict=False) if stanza["name"] == name]
        return _stanza(entry)
    except (ValueError, KeyError, TypeError) as error:
        raise UnknownError(f"what pgbackrest info says of stanza {name} cannot be read: {error}") from error


def _stanza(entry: dict[str, t.Any]) -> Stanza:
    lock = entry["status"].get("lock", {}).get("backup", {})
    complete = lock.get("pct-cplt")
    return Stanza(
        name=entry["name"],
        code=entry["status"]["code"],
        message=entry["status"]["message"],
        repositories=tuple(
            Repository(repo["key"], repo.get("cipher", "none"), repo["status"]["code"], repo["status"]["message"])
            for repo in entry.get("repo", [])
        ),
        databases=tuple(
            Database(db["id"], db["repo-key"], db["system-id"], str(db["version"])) for db in entry.get("db", [])
        ),
        archives=tuple(
            Archive(a["id"], a["database"]["repo-key"], a["database"]["id"], a.get("min"), a.get("max"))
            for a in entry.get("archive", [])
        ),
        backups=tuple(_backup(backup) for backup in entry.get("backup", [])),
        backup_running=bool(lock.get("held")),
        # pgBackRest counts in hundredths of a percent.
        percent_complete=None if complete is None else float(complete) / 100,
    )


def _backup(entry: dict[str, t.Any]) -> Backup:
    return Backup(
        label=entry["label"],
        type=entry["type"],
        repo=entry["database"]["repo-key"],
        database=entry["database"]["id"],
        start_segment=entry["archive"]["start"],
        stop_segment=entry["archive"]["stop"],
        start_lsn=lsn_number(entry["lsn"]["start"]),
        stop_lsn=lsn_number(entry["lsn"]["stop"]),
        started=entry["timestamp"]["start"],
        stopped=entry["timestamp"]["stop"],
        size=entry["info"]["size"],
        repository_size=entry["info"]["repository"].get("size", entry["info"]["repository"]["delta"]),
        error=entry.get("error"),
        references=tuple(entry.get("reference") or ()),
        alone=entry["info"]["repository"].get("delta"),
    )


def parse_listing(text: str) -> dict[str, File | None]:
    """``pgbackrest repo-ls --output=json``: a folder that is not there is empty."""
    try:
        return {
            name: File(name, entry.get("size", 0), entry.get("time", 0)) if entry["type"] == "file" else None
            for name, entry in json.loads(text).items()
            if name != "."
        }
    except (ValueError, KeyError, AttributeError) as error:
        raise UnknownError(f"what pgbackrest repo-ls says cannot be read: {error}") from error


def lsn_number(text: str) -> int:
    """``0/A000028`` as a number of bytes."""
    match = re.fullmatch(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", text.strip())
    if match is None:
        raise InputError("this is no LSN", given=text, possible="two hexadecimal numbers and a slash: 0/3000148")
    return (int(match.group(1), 16) << 32) + int(match.group(2), 16)


def lsn_text(number: int) -> str:
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def meaning(complaint: str) -> tuple[str, str] | None:
    """What a complaint of pgBackRest means, and the next step."""
    for pattern, what, step in MEANINGS:
        if re.search(pattern, complaint, re.DOTALL):
            return what, step
    return None


def explained(error: CommandFailed) -> CommandFailed:
    """The same failure in words; pgBackRest's own stay in ``stderr_tail``."""
    complaint = error.stderr_tail
    # WARN lines tell of members that are merely down; the ERROR decides, when there is one.
    found = meaning(complaint[complaint.find("ERROR:") :] if "ERROR:" in complaint else complaint)
    what, step = found or ("see stderr_tail", "pgbackrest's log in /var/log/pgbackrest tells more")
    command = next((a for a in error.argv[2:] if not a.startswith("-")), "")
    return CommandFailed(
        f"pgbackrest {command} ended with exit code {error.rc}: {what}",
        argv=error.argv,
        rc=error.rc,
        stderr=complaint,
        next_step=step,
    )


def why_unreadable(stanza: Stanza, repository: Repository) -> tuple[str, str]:
    """What keeps a repository from being read, and the next step."""
    found = meaning(repository.message)
    what, step = found or (repository.message.split("\n")[0], "pgbackrest info tells more")
    return f"repository {repository.number} of stanza {stanza.name} cannot be read: {what}", step


def demand_readable(stanza: Stanza, repos: t.Iterable[int]) -> None:
    """Each of the repositories can be read; ``info``'s exit code does not say so.

    :raises UnknownError: for the first that cannot.
    """
    for number in repos:
        repository = stanza.repository(number)
        if not repository.readable:
            what, step = why_unreadable(stanza, repository)
            raise UnknownError(what, next_step=step)

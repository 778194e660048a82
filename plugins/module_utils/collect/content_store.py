# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests of content in a repository, beside the backups that they are compared with.

    manifests/<stanza>/20261126T021500Z-00000001-0-5145B48.json     time, timeline, LSN

pgBackRest carries them, over the connection that a member has for its WAL, and encrypts them with the repository's
passphrase. A member can write one that it cannot read; who knows the passphrase reads it.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client, lsn_number
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError

NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9A-F]{8})-([0-9A-F]{1,8})-([0-9A-F]{1,8})\.json\Z")
#: What pgBackRest reads a passphrase from that belongs to a file of ours: never an argument, which others can see.
ENVIRONMENT = "PGBACKREST_CIPHER_PASS"


@dataclass(frozen=True)
class Name:
    """What a manifest's name tells."""

    text: str
    taken: datetime
    timeline: int
    lsn: int

    @classmethod
    def parse(cls, text: str) -> Name | None:
        found = NAME.fullmatch(text)
        if found is None:
            return None
        taken = datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        return cls(text, taken, int(found[2], 16), lsn_number(f"{found[3]}/{found[4]}"))


def name_of(manifest: t.Mapping[str, t.Any]) -> str:
    taken = datetime.fromisoformat(manifest["utc"])
    return f"{taken:%Y%m%dT%H%M%SZ}-{manifest['timeline']:08X}-{manifest['lsn'].replace('/', '-')}.json"


def put(client: Client, repo: int, manifest: t.Mapping[str, t.Any]) -> str:
    """Keep it in the repository. Its name there."""
    name = name_of(manifest)
    quiet = ("--log-level-console=off", "--log-level-stderr=warn")
    argv = client.argv(*quiet, f"--repo={repo}", "repo-put", _path(client, name))
    client.run(argv, timeout=client.timeout, user=client.user, env=client.env, stdin=json.dumps(manifest) + "\n")
    return name


def listed(client: Client, repo: int) -> list[Name]:
    """All of the stanza's, oldest first."""
    found = (Name.parse(one) for one in client.files(repo, f"manifests/{client.stanza}", recurse=False))
    return sorted((one for one in found if one is not None), key=lambda one: one.text)


def get(client: Client, repo: int, name: str, passphrase: str | None) -> dict[str, t.Any]:
    """One manifest.

    :raises CommandError: pgBackRest does not give it.
    :raises UnknownError: it is none, or another one than its name says.
    """
    env = {**client.env, **({ENVIRONMENT: passphrase} if passphrase is not None else {})}
    text = replace(client, env=env).read(repo, _path(client, name))
    try:
        manifest: dict[str, t.Any] = json.loads(text)
        if name_of(manifest) != name:
            raise UnknownError(f"manifest {name} says that it is {name_of(manifest)}")
    except (ValueError, KeyError, TypeError) as error:
        raise UnknownError(f"manifest {name} cannot be read: {error}") from error
    return manifest


def _path(client: Client, name: str) -> str:
    return f"manifests/{client.stanza}/{name}"

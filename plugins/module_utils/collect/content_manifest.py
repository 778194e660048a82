# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a member: what it holds at an LSN, and the configuration that no backup has."""

from __future__ import annotations

import hashlib
import time
import typing as t
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import content
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.content import CONFLICT, Content, Limits
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import checked_lsn

#: Of a standby, the newest timeline that it has WAL of; see collect/members.py.
TIMELINE = """
SELECT CASE WHEN pg_is_in_recovery()
  THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                greatest((SELECT timeline_id FROM pg_control_checkpoint()),
                         (SELECT min_recovery_end_timeline FROM pg_control_recovery())))
  ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END
"""
#: Seconds that replay may stand still at the second try, when cleanup on the primary has ended the first one.
HOLD_SECONDS = 30.0
#: Larger files in a configuration directory are no configuration.
FILE_BYTES = 2**20
SECRETS = (".key", ".pem", ".pgpass")


def take(
    member: t.Mapping[str, t.Any], limits: Limits, *, run: Runner, after_lsn: str | None = None
) -> dict[str, t.Any]:
    """The manifest of this host's member.

    :param after_lsn: a standby waits until it has replayed this.
    :raises UnknownError: no LSN could be told that the content belongs to.
    """
    server = LocalServer.of(member, run)
    begin = time.monotonic()
    standby = server.value("SELECT pg_is_in_recovery()") == "t"
    if standby and after_lsn is not None:
        _await(server, checked_lsn(after_lsn), limits.timeout)
    now = datetime.now(timezone.utc)
    lsn, found = _of_standby(server, limits) if standby else content.of_primary(server, limits)
    return {
        "schema": content.SCHEMA,
        "utc": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "stanza": member["stanza"],
        "from": member["name"],
        "how": "standby" if standby else "primary",
        "timeline": int(server.value(TIMELINE)),
        "lsn": lsn,
        "hashed_bytes": limits.bytes,
        "seconds": round(time.monotonic() - begin, 3),
        **found.as_dict(),
        "configuration": configuration(Path(member["config_dir"])),
    }


def confirms_commits(member: t.Mapping[str, t.Any], *, run: Runner) -> bool:
    """Do commits wait for this member? Told by the setting that all members share."""
    names = LocalServer.of(member, run).value("SHOW synchronous_standby_names")
    return "*" in names or str(member["name"]) in names


def configuration(folder: Path) -> dict[str, dict[str, str]]:
    """Every file of a configuration directory, by path, with its hash and its text; keys are left out."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(SECRETS) and path.stat().st_size <= FILE_BYTES:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
            files[str(path.relative_to(folder))] = {"sha256": digest(text), "text": text}
    return files


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def summary(manifest: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What may be shown of a manifest: no text of a configuration, no row's hash."""
    relations = [facts for one in manifest["databases"].values() for facts in one["relations"].values()]
    return {
        **{key: manifest[key] for key in ("utc", "from", "how", "timeline", "lsn", "seconds", "unseen")},
        "databases": sorted(manifest["databases"]),
        "relations": len(relations),
        "rows": sum(facts["rows"] for facts in relations),
        "bytes": sum(facts["bytes"] for facts in relations),
        "hashed_bytes": sum(facts["bytes"] for facts in relations if facts["hash"] is not None),
        "configuration": sorted(manifest["configuration"]),
    }


def _of_standby(server: LocalServer, limits: Limits) -> tuple[str, Content]:
    """A second try where the first one was disturbed; then replay waits for it as long as it may."""
    try:
        lsn, found = content.of_standby(server, limits)
    except UnknownError:
        return content.of_standby(server, limits)
    if any(CONFLICT in reason for reason in found.unseen.values()):
        return content.of_standby(server, replace(limits, hold=max(limits.hold, HOLD_SECONDS)))
    return lsn, found


def _await(server: LocalServer, lsn: str, timeout: float) -> None:
    poll(
        lambda: True if server.value(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn") == "t" else None,
        timeout=timeout,
        interval=0.2,
        what=f"WAL up to {lsn} is replayed",
    )

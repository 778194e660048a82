# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is verified: chain and files, or restored to the LSN of a manifest and compared with it.

    quick      chain, every file of the repository, catalogue
    standard   chain, catalogue; restore, recovery, markers, content, heaps and indexes, pages, configuration
    full       quick and standard; each row in each of its indexes, and nothing that was only counted

The same for the module, the playbook and the timer. Nothing here raises for what it finds: it becomes a check.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import (
    archive,
    content_store,
    records,
    scratch,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import (
    Client,
    Stanza,
    demand_readable,
    lsn_text,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandError,
    InputError,
    ResilienceError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import repository_files, window
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import verification as judge
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst
from ansible_collections.fraiseql.resilience.plugins.module_utils.verified_copy import Aim, Findings, Order, restore

SCHEMA = "fraiseql.resilience/verification/1"
#: Seconds after which a manifest's WAL must have arrived in a repository.
STALE_SECONDS = 1800.0


@dataclass(frozen=True)
class Source:
    """A repository that can be read: its stanza, what it holds, and how it is asked."""

    client: Client
    stanza: Stanza
    held: window.Holdings
    windows: list[window.Window]


def verify(order: Order, place: scratch.Place, *, run: Runner, dry: bool = False) -> dict[str, t.Any]:
    """Verify, and say what was found in the words of results.jsonl, with more beside them.

    :param dry: only say what would be restored, and whether there is room.
    :raises InputError: what was asked for cannot be.
    :raises RefusedError: the disk is too small. Nothing was restored.
    """
    if order.level not in judge.LEVELS:
        raise InputError("there is no such level", given=order.level, possible=list(judge.LEVELS))
    began, begin = datetime.now(timezone.utc), time.monotonic()
    found = Findings()
    deadline = Deadline(order.timeout)
    source, aim = _look(order, place, found, run), None
    if source is not None and order.level != "standard" and not dry:
        found.add(*_files(source, order.repo, deadline))
    if source is not None and order.level != "quick":
        aim = _aim(order, place, source, found)
        if aim is not None:
            found.room = scratch.demand_room(place, aim.request)
            if not dry:
                restore(order, place, aim, found, run, deadline)
    found.seconds["total"] = round(time.monotonic() - begin, 3)
    predicted = {"predicted_seconds": _predicted(order, place, aim)} if dry else {}
    return {**_answer(order, found, began), **predicted}


def record(answer: t.Mapping[str, t.Any], place: scratch.Place) -> Path:
    """Append what was found to this host's results, beside what a disk that was full has torn.

    :raises UnknownError: it could not be written.
    """
    path: Path = place.state / "verifications" / answer["stanza"] / "results.jsonl"
    for folder in (path.parent.parent, path.parent):
        scratch.make(folder, place.user, mode=0o755)
    records.append(path, {key: value for key, value in answer.items() if key != "room"})
    scratch.give(path, place.user)
    return path


def undone(order: Order, reason: str) -> dict[str, t.Any]:
    """What is recorded of a verification that was refused or could not be done."""
    found = Findings(checks=[Check("verification: it could be done", Verdict.UNKNOWN, reason)])
    return _answer(order, found, datetime.now(timezone.utc))


def _answer(order: Order, found: Findings, began: datetime) -> dict[str, t.Any]:
    target = None if found.target is None else {"type": "lsn", "value": lsn_text(found.target)}
    return {
        "schema": SCHEMA,
        "utc": _utc(datetime.now(timezone.utc)),
        "began_utc": _utc(began),
        "stanza": order.stanza,
        "repo": order.repo,
        "level": order.level,
        "label": found.label,
        "target": target,
        "manifest": found.manifest,
        "verdict": worst(found.checks).value,
        "checks": [check.as_dict() for check in found.checks],
        "not_tested": found.not_tested,
        "seconds": found.seconds,
        "restored_bytes": found.restored_bytes,
        "replayed_bytes": found.replayed_bytes,
        "room": found.room,
        "by": order.by,
        "host": order.host,
    }


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def results(place: scratch.Place, stanza: str) -> list[dict[str, t.Any]]:
    """What this host has found before, oldest first."""
    return _lines(place.state / "verifications" / stanza / "results.jsonl")


def _predicted(order: Order, place: scratch.Place, aim: Aim | None) -> float | None:
    """Seconds that it will take, by the rates of the last one that came to its end here; None where none did."""
    whole = [one for one in results(place, order.stanza) if one["repo"] == order.repo and one["level"] == order.level]
    whole = [one for one in whole if None not in one["seconds"].values() and one["restored_bytes"]]
    if aim is None or not whole:
        return None
    seconds, restored = whole[-1]["seconds"], whole[-1]["restored_bytes"]
    size = aim.request.backup.size / restored
    wal = aim.request.replayed_bytes / max(1, whole[-1]["replayed_bytes"] or 0)
    rest = seconds["total"] - seconds["restore"] - seconds["replay"] - seconds["checks"]
    predicted: float = size * (seconds["restore"] + seconds["checks"]) + wal * seconds["replay"] + rest
    return round(predicted, 1)


# Chain and files -----------------------------------------------------------------------------------------------------


def _look(order: Order, place: scratch.Place, found: Findings, run: Runner) -> Source | None:
    """The repository's chain, judged; None where it cannot be read."""
    # Who is not root is that user already, and need not become it.
    user = place.user if os.geteuid() == 0 else None
    client = Client(run, order.stanza, user, options=(f"--config={place.configuration}", "--log-level-file=off"))
    # In this order: a backup that ends meanwhile is in the repository's list, and need not be in this one.
    catalogue = _catalogue(place, order.stanza)
    try:
        stanza = client.info(order.repo)
        demand_readable(stanza, [order.repo])
        held = archive.holdings(client, stanza, order.repo, place.bin_dir)
    except ResilienceError as error:
        found.add(judge.readable(order.repo, error.message))
        return None
    own = window.windows(held)
    found.add(Check(f"repository {order.repo}: it can be read", Verdict.PASSED, ""))
    found.add(*window.judge_repository(held, own))
    found.add(judge.catalogued(order.repo, catalogue, {backup.label for backup in stanza.backups}))
    return Source(client, stanza, held, own)


def _files(source: Source, repo: int, deadline: Deadline) -> list[Check]:
    """Every file of the repository, by its checksum."""
    try:
        done = source.client.call(
            f"--repo={repo}", "--output=text", "--verbose", "verify", stderr_level="info", timeout=deadline.left()
        )
    except CommandError as error:
        return [Check(f"repository {repo}: files", Verdict.UNKNOWN, error.stderr_tail.strip() or error.message)]
    return repository_files.judge(repo, done.stdout, done.stderr)


def _catalogue(place: scratch.Place, stanza: str) -> list[dict[str, t.Any]]:
    """This host's catalogue of backups."""
    return _lines(place.state / "backups" / stanza / "catalogue.jsonl")


def _lines(path: Path) -> list[dict[str, t.Any]]:
    """Objects of a file, one a line; a line that was cut off is none."""
    entries = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                entries.append(json.loads(line))
    return entries


# What to restore -----------------------------------------------------------------------------------------------------


def _aim(order: Order, place: scratch.Place, source: Source, found: Findings) -> Aim | None:
    """The newest manifest that the repository reaches; without any, the end of its WAL. None where nothing can be
    restored, which is a check then."""
    try:
        names = content_store.listed(source.client, order.repo)
        why = "no manifest is in the repository"
    except CommandError as error:
        names, why = [], error.message
    if order.manifest is not None:
        return _aim_at_the_named(order, place, source, found, names)
    for name in reversed(names):
        request, why = _reach(source, name.lsn, name.timeline)
        if request is not None:
            return _aim_at(order, place, source, found, request, name.text)
        if name is names[-1]:
            found.add(_stale(order.repo, source, name, why))
    found.add(Check("content: manifest", Verdict.UNKNOWN, why))
    return _aim_at_the_end(source, found)


def _aim_at_the_named(
    order: Order, place: scratch.Place, source: Source, found: Findings, names: t.Sequence[content_store.Name]
) -> Aim | None:
    for name in names:
        if name.text == order.manifest:
            request, why = _reach(source, name.lsn, name.timeline)
            if request is not None:
                return _aim_at(order, place, source, found, request, name.text)
            found.target = name.lsn
            found.add(judge.outside(name.lsn, why))
            return None
    found.add(Check("content: manifest", Verdict.FAILED, f"{order.manifest} is not in repository {order.repo}"))
    return None


def _stale(repo: int, source: Source, name: content_store.Name, why: str) -> Check | None:
    """A manifest came whose WAL did not come after it. Where nothing was written since, all of its WAL is there."""
    age = (datetime.now(timezone.utc) - name.taken).total_seconds()
    furthest = max((own.reach.lsn for own in source.windows), default=0)
    if age < STALE_SECONDS or furthest >= name.lsn:
        return None
    return Check(f"repository {repo}: WAL has come since the newest manifest", Verdict.FAILED, why)


def _aim_at(
    order: Order, place: scratch.Place, source: Source, found: Findings, request: scratch.Request, name: str
) -> Aim:
    found.manifest = name
    _note(found, request)
    secret = scratch.passphrase(Path(place.configuration).read_text(encoding="utf-8"), order.repo)
    try:
        return Aim(request, content_store.get(source.client, order.repo, name, secret))
    except ResilienceError as error:
        found.add(Check("content: manifest", Verdict.UNKNOWN, error.message))
        return Aim(request, None)


def _aim_at_the_end(source: Source, found: Findings) -> Aim | None:
    """The last record of the newest timeline."""
    newest = source.held.chain.newest()
    end = source.held.ends.get(newest) if newest is not None else None
    if newest is None or end is None or end.last_record is None:
        found.add(
            Check("restore: files", Verdict.UNKNOWN, "the end of the WAL could not be read, so there is no target")
        )
        return None
    request, why = _reach(source, end.last_record, newest)
    if request is None:
        found.add(judge.outside(end.last_record, why))
        return None
    _note(found, request)
    return Aim(request, None)


def _note(found: Findings, request: scratch.Request) -> None:
    found.label, found.target = request.backup.label, request.lsn


def _reach(source: Source, lsn: int, timeline: int) -> tuple[scratch.Request | None, str]:
    """From which backup and along which timeline an LSN is reached: its own, or one that left it later."""
    why = ""
    chain = source.held.chain
    later = [number for number in chain.timelines if (timeline, True) in _passes(chain.lineage(number), lsn)]
    for number in dict.fromkeys([timeline, *sorted(later, reverse=True)]):
        target = window.Target("lsn", lsn_text(lsn), True, number)
        answer = window.judge_target(target, [(source.held, source.windows)])
        if answer.inside:
            [backup] = [one for one in source.held.backups if one.label == answer.set]
            return scratch.Request(backup, lsn, number), ""
        why = why or answer.reason
    return None, why


def _passes(lineage: list[tuple[int, int | None]], lsn: int) -> list[tuple[int, bool]]:
    """Each timeline of a path, and whether it is left only after the LSN."""
    return [(number, left is None or left >= lsn) for number, left in lineage]

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the versions of a bucket's objects tell: what was destroyed, since when, and how it comes back. Pure.

pgBackRest writes a name once and never again, but for a few small files; and it removes a backup when it is older than
the retention, and WAL when it is older than the oldest backup. Whatever else was overwritten or deleted, somebody else
did.

A store keeps whole seconds, so a moment ends before its second: what was written in the second of the first damage is
taken from its first version instead.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import ARCHIVED

DAY = 86400.0
#: Names that pgBackRest writes again and again; a history comes again with each server that has it, and encrypted anew.
REWRITTEN = ("archive.info", "archive.info.copy", "backup.info", "backup.info.copy", "backup.manifest.copy")
REWRITTEN_ENDS = (".history", ".backup")
MANIFEST = "backup.manifest"
#: The folder of a repository whose key serves no more, within the other one's.
GENERATION = re.compile(r"key-\d+/")


@dataclass(frozen=True)
class Version:
    """One version of an object, or a marker that it is deleted. ``modified``: seconds since 1970; ``size``: bytes."""

    key: str
    id: str
    modified: float
    latest: bool
    marker: bool = False
    size: int = 0
    etag: str = ""


@dataclass(frozen=True)
class Damage:
    """An object that is not what pgBackRest wrote. ``what``: deleted or overwritten; ``at``: seconds since 1970."""

    key: str
    what: str
    at: float


@dataclass(frozen=True)
class Step:
    """What brings one object back, or hides it: ``action`` is unmark, copy or hide.

    ``markers`` are taken away by unmark; ``version`` is what is current then.
    """

    action: str
    key: str
    version: Version | None = None
    markers: tuple[Version, ...] = ()

    def as_dict(self) -> dict[str, t.Any]:
        version = self.version
        return {
            "action": self.action,
            "key": self.key,
            "version": None if version is None else version.id,
            "size": 0 if version is None else version.size,
        }


@dataclass(frozen=True)
class Objects:
    """Every version below a repository's folder.

    ``origins`` names, by a version's id, the one that it was copied from by an earlier restore.
    """

    prefix: str
    versions: t.Sequence[Version]
    origins: t.Mapping[str, str] = field(default_factory=dict)

    def histories(self) -> dict[str, list[Version]]:
        """Versions and markers by key, newest first."""
        found: dict[str, list[Version]] = {}
        for version in self.versions:
            found.setdefault(version.key, []).append(version)
        for history in found.values():
            # Within a second a version stands before a marker: it is better brought back than left out.
            history.sort(key=lambda one: (not one.latest, -one.modified, one.marker))
        return found

    def same(self, one: Version, other: Version) -> bool:
        """Have both the same content, as far as the store tells?"""
        if one.id == other.id:
            return True
        if one.marker or other.marker or one.size != other.size:
            return False
        return one.etag == other.etag or self.origins.get(one.id) == other.id

    def doubtful(self) -> list[Version]:
        """Current versions that may be copies of others although their checksum differs: only the store can say."""
        return [
            history[0]
            for history in self.histories().values()
            if not history[0].marker
            and any(one.size == history[0].size and one.etag != history[0].etag for one in history[1:])
        ]


@dataclass(frozen=True)
class Backups:
    """When each backup began, was complete, and was deleted, by its folder's key; seconds since 1970."""

    began: t.Mapping[str, float]
    complete: t.Mapping[str, float]
    deleted: t.Mapping[str, float]

    @classmethod
    def of(cls, prefix: str, histories: t.Mapping[str, list[Version]]) -> Backups:
        began: dict[str, float] = {}
        complete: dict[str, float] = {}
        deleted: dict[str, float] = {}
        for key, history in histories.items():
            folder, name = backup_folder(prefix, key), key.rpartition("/")[2]
            puts = [one.modified for one in history if not one.marker]
            if folder is None or not puts:
                continue
            began[folder] = min(began.get(folder, puts[-1]), puts[-1])
            if key == f"{folder}/{MANIFEST}" and name == MANIFEST:
                complete[folder] = puts[-1]
                if history[0].marker:
                    deleted[folder] = first_after(history, puts[-1])
        return cls(began, complete, deleted)

    def expired(self, folder: str, at: float, retention_days: float) -> bool:
        """May pgBackRest delete a backup? Once a newer one is as old as the retention, or if it was never complete."""
        if folder not in self.complete:
            return True
        stanza = folder.rpartition("/")[0]
        newer = [one for one in self.complete if one > folder and one.rpartition("/")[0] == stanza]
        return any(at - self.complete[one] >= retention_days * DAY for one in newer)

    def oldest(self, retention_days: float) -> dict[str, float]:
        """By the stanza's folder, when the oldest backup began that is there, or would be if it were not destroyed."""
        found: dict[str, float] = {}
        for folder in self.complete:
            if folder in self.deleted and self.expired(folder, self.deleted[folder], retention_days):
                continue
            stanza = folder.rpartition("/")[0]
            found[stanza] = min(found.get(stanza, self.began[folder]), self.began[folder])
        return found


def within(prefix: str, key: str) -> tuple[str, list[str]]:
    """The folder of the repository that an object belongs to, and the parts of its path there."""
    generation = GENERATION.match(key, len(prefix))
    root = prefix + (generation[0] if generation else "")
    return root, key[len(root) :].split("/")


def own(prefix: str, key: str) -> bool:
    """Is it pgBackRest's? Beside its folders stands what it carries for others, who write and remove as they like."""
    return within(prefix, key)[1][0] in ("archive", "backup")


def backup_folder(prefix: str, key: str) -> str | None:
    """The folder of the backup that an object belongs to: ``<root>backup/<stanza>/<label>``."""
    root, parts = within(prefix, key)
    if len(parts) < 4 or parts[0] != "backup" or not parts[2][:8].isdigit():
        return None
    return root + "/".join(parts[:3])


def first_after(history: t.Sequence[Version], moment: float) -> float:
    """When the oldest version was followed by another one, or by a marker."""
    return min((one.modified for one in history[:-1] if one.modified >= moment), default=moment)


def rewritten(key: str) -> bool:
    name = key.rpartition("/")[2]
    return name in REWRITTEN or name.endswith(REWRITTEN_ENDS)


def original(key: str, history: t.Sequence[Version], backups: Backups, prefix: str) -> Version | None:
    """What pgBackRest left under a name that it writes once; the newest one under a name that it rewrites.

    Files of a backup may be written twice before it is complete: one that was cut off is taken up again.
    """
    puts = [one for one in history if not one.marker]
    if not puts:
        return None
    if rewritten(key) or not own(prefix, key):
        return puts[0]
    complete = backups.complete.get(backup_folder(prefix, key) or "")
    if complete is None or key.endswith(f"/{MANIFEST}"):
        return puts[-1]
    return next((one for one in puts if one.modified <= complete), puts[-1])


def damages(objects: Objects, retention_days: float) -> list[Damage]:
    """What is deleted or overwritten now and should not be, in the order in which it happened."""
    histories = objects.histories()
    backups = Backups.of(objects.prefix, histories)
    oldest = backups.oldest(retention_days)
    unfinished = set(backups.began) - set(backups.complete)
    found = []
    for key, history in histories.items():
        good = original(key, history, backups, objects.prefix) if own(objects.prefix, key) else None
        if good is None or history[0].id == good.id or objects.same(history[0], good):
            continue
        # Since it was last right: it may have been brought back from an earlier damage.
        right = next(place for place, one in enumerate(history) if objects.same(one, good))
        at = min(one.modified for one in history[:right])
        if history[0].marker:
            if not expired(objects.prefix, good, at, backups, oldest, retention_days):
                found.append(Damage(key, "deleted", at))
        elif backup_folder(objects.prefix, key) not in unfinished:
            found.append(Damage(key, "overwritten", at))
    return sorted(found, key=lambda one: (one.at, one.key))


def expired(
    prefix: str, good: Version, at: float, backups: Backups, oldest: t.Mapping[str, float], retention_days: float
) -> bool:
    """Would pgBackRest have deleted this by itself?"""
    folder = backup_folder(prefix, good.key)
    if folder is not None:
        return backups.expired(folder, at, retention_days)
    root, parts = within(prefix, good.key)
    if parts[0] == "archive" and len(parts) > 3:
        stanza = f"{root}backup/{parts[1]}"
        return stanza in oldest and good.modified < oldest[stanza]
    return not rewritten(good.key) and at - good.modified >= retention_days * DAY


def plan(objects: Objects, before: float, hide_newer: bool = False) -> list[Step]:
    """What makes every object again what it was before a moment (seconds since 1970). Nothing where all of it is.

    A name that did not exist then keeps what pgBackRest left under it first, for a cluster goes on archiving while its
    repository is destroyed; or is hidden by a marker. No version is ever deleted.
    """
    histories = objects.histories()
    backups = Backups.of(objects.prefix, histories)
    found = []
    for key in sorted(histories):
        history = histories[key]
        earlier = next((one for one in _in_time(history) if one.modified < before), None)
        if earlier is None or earlier.marker:
            wanted = None if hide_newer else _newer(key, history, before, backups, objects.prefix)
        else:
            wanted = earlier
        step = _step(objects, history, wanted)
        if step is not None:
            found.append(step)
    return found


def overtaken(objects: Objects) -> list[Step]:
    """What makes the WAL that was archived last the newest again, where a copy of older WAL looks newer now.

    Who looks for the timeline to follow takes the one that was archived last.
    """
    newest: dict[str, tuple[float, str, Version, Version]] = {}
    latest: dict[str, float] = {}
    for key, history in objects.histories().items():
        current = history[0]
        if current.marker or not ARCHIVED.fullmatch(key.rpartition("/")[2]):
            continue
        root, parts = within(objects.prefix, key)
        folder = root + "/".join(parts[:3])
        first = min((one for one in history if objects.same(current, one)), key=lambda one: one.modified)
        newest[folder] = max(newest.get(folder, (0.0, "", first, current)), (first.modified, key, first, current))
        latest[folder] = max(latest.get(folder, 0.0), current.modified)
    return [
        Step("copy", key, first)
        for folder, (_written, key, first, current) in newest.items()
        if current.modified < latest[folder]
    ]


def _in_time(history: t.Sequence[Version]) -> list[Version]:
    """By time alone: what is current may share its second with others."""
    return sorted(history, key=lambda one: (-one.modified, one.marker))


def _newer(key: str, history: t.Sequence[Version], before: float, backups: Backups, prefix: str) -> Version | None:
    later = [one for one in history if one.modified >= before]
    if (rewritten(key) or not own(prefix, key)) and later and not later[0].marker:
        return later[0]
    return original(key, later, backups, prefix)


def _step(objects: Objects, history: t.Sequence[Version], wanted: Version | None) -> Step | None:
    current = history[0]
    if wanted is None:
        return None if current.marker else Step("hide", current.key)
    if objects.same(current, wanted):
        return None
    markers = []
    for one in history:
        if not one.marker:
            break
        markers.append(one)
    below = history[len(markers)] if len(markers) < len(history) else None
    if markers and below is not None and objects.same(below, wanted):
        return Step("unmark", current.key, below, tuple(markers))
    return Step("copy", current.key, wanted)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long would each kind of recovery take, before anyone needs it? Pure.

Learned from restores that were measured, per repository: copying by bytes, replay by bytes of WAL. What was never
measured is unknown and has no number. Every verification is a test of what was forecast before it.

    restore_newest         copy the newest backup of repository 1, replay all WAL since its begin
    pitr                   the same to a point between two backups: from no WAL to the most that ever lay between two
    restore_repo2          as restore_newest, from repository 2
    delta_restore          as restore_newest, over the old data; learned from delta restores alone
    verification_standard  restore, replay and checks of a verification
"""

from __future__ import annotations

import itertools
import math
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import duration, trend
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import Made, Record, Restored
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.duration import Estimate, Model, Sample
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.forecast_errors import errors
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_to_replay import (
    Amount,
    wal_between,
    wal_since,
)

SCHEMA = "fraiseql.resilience/forecast/1"
KINDS = ("restore_newest", "pitr", "restore_repo2", "delta_restore", "verification_standard")
#: What the objective is about; the others are told, and judged by nobody.
PROMISED = ("restore_newest", "pitr", "restore_repo2")
#: A measurement of this many verifications ago counts half.
HALF_LIFE = 10
#: What one of another major version of PostgreSQL counts, of one of the present one.
OTHER_VERSION = 0.25
#: A database this many times as large as anything that was restored is said to be.
FAR = 4

Facts = Mapping[str, t.Any]


@dataclass(frozen=True)
class Known:
    """What the forecast is made from, in the order of the lines.

    ``ends``: per repository where its archive ends now, as a number of bytes, if somebody looked.
    ``forecasts``: what was forecast before. ``problems``: lines that could not be read.
    """

    catalogue: Sequence[Record] = ()
    verifications: Sequence[Record] = ()
    forecasts: Sequence[Record] = ()
    repos: Sequence[int] = (1,)
    ends: Mapping[int, int] = field(default_factory=dict)
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class Recovery:
    """One kind of recovery; ``reason`` says why it is unknown, or what is not certain."""

    kind: str
    repo: int
    basis: int
    reason: str = ""
    estimate: Estimate | None = None
    restore_seconds: float | None = None
    replay_seconds: float | None = None
    bytes: float | None = None
    wal: Amount | None = None

    def as_dict(self) -> dict[str, t.Any]:
        told = None if self.estimate is None else vars(self.estimate)
        seconds = {name: told and round(told[name], 3) for name in ("seconds", "low", "high")}
        return {
            "kind": self.kind,
            "repo": self.repo,
            **seconds,
            "basis": self.basis,
            "reason": self.reason,
            "restore_seconds": _rounded(self.restore_seconds),
            "replay_seconds": _rounded(self.replay_seconds),
            "bytes": None if self.bytes is None else int(self.bytes),
            "wal_bytes": None if self.wal is None else int(self.wal.bytes),
        }


@dataclass(frozen=True)
class Rates:
    """What one repository's restores taught; ``None`` for too few of them."""

    repo: int
    restore: Model | None
    replay: Model | None
    n: int

    def as_dict(self) -> dict[str, t.Any]:
        parts = {"restore": self.restore, "replay": self.replay}
        return {"repo": self.repo, **{name: part and part.as_dict() for name, part in parts.items()}}


def judge(known: Known, objectives: Facts, now: float) -> dict[str, t.Any]:
    """The whole forecast, as it is told, kept and compared later.

    :param objectives: ``rto_seconds`` is what the promised recoveries are held against.
    :param now: seconds since 1970, for its label alone.
    """
    backups = records.made(known.catalogue)
    present = present_cluster(backups)
    restores = records.restored(known.verifications, {one.label: one.version for one in backups if one.version})
    version = present[-1].version if present else None
    learned = {repo: rates(restores, repo, version) for repo in sorted({1, *known.repos})}
    found = recoveries(known, present, restores, learned, version)
    rto = objectives.get("rto_seconds")
    checks = [check(one, rto) for one in found if one.kind in PROMISED]
    main = next(one for one in found if one.kind == "restore_newest")
    past = errors(known.forecasts, known.verifications)
    return {
        "schema": SCHEMA,
        "utc": records.utc(now),
        "verdict": worst(checks).value,
        "recoveries": [one.as_dict() for one in found],
        "checks": [one.as_dict() for one in checks],
        "warnings": [
            *trend.unread(known.problems),
            *trend.clock_warnings(known.catalogue, known.verifications),
            *trend.version_warnings(restores, version),
            *(warning for repo in learned for warning in trend.slower(repo, restores)),
            *trend.growth_warnings(present, main.estimate, learned[1].restore, main.bytes, rto),
        ],
        "growth_bytes_per_day": trend.growth(present).bytes_per_day,
        "errors": past,
        "models": [one.as_dict() for one in learned.values()],
        # The forecasts that this one's tests come after: a count, since clocks are set.
        "verifications": len(known.verifications),
        "objective_seconds": rto,
    }


def present_cluster(backups: Sequence[Made]) -> list[Made]:
    """The backups of the cluster that the newest one is of, since its last major upgrade."""
    if not backups:
        return []
    newest = backups[-1]
    own = [one for one in backups if one.system_id in (newest.system_id, None)]
    kept = [*itertools.takewhile(lambda one: one.version in (newest.version, None), reversed(own))]
    return kept[::-1]


# rates ----------------------------------------------------------------------------------------------------------------


def rates(restores: Sequence[Restored], repo: int, version: str | None, *, delta: bool = False) -> Rates:
    """What the restores from one repository teach."""
    own = [one for one in restores if one.repo == repo and one.delta is delta]
    weights = [weight(age, one, version) for age, one in enumerate(reversed(own))][::-1]
    copies = [Sample(one.bytes, one.restore, weight) for one, weight in zip(own, weights, strict=True)]
    replays = [
        Sample(one.wal_bytes, one.replay, weight)
        for one, weight in zip(own, weights, strict=True)
        if one.wal_bytes is not None and one.replay is not None
    ]
    return Rates(repo, duration.fit(copies), duration.fit(replays), len(own))


def weight(age: int, one: Restored, version: str | None) -> float:
    """What a measurement counts: less the older it is, in verifications, and less if another PostgreSQL made it."""
    same = version is None or one.version in (version, None)
    return math.exp2(-age / HALF_LIFE) * (1.0 if same else OTHER_VERSION)


# recoveries -----------------------------------------------------------------------------------------------------------


def recoveries(
    known: Known,
    present: Sequence[Made],
    restores: Sequence[Restored],
    learned: Mapping[int, Rates],
    version: str | None,
) -> list[Recovery]:
    """Every kind; repository 2's only where there is one."""
    newest = wal_since(present, 1, known.ends)
    found = [
        recovery("restore_newest", learned[1], present, newest),
        recovery("pitr", learned[1], present, wal_between(present, 1, known.ends)),
    ]
    if 2 in learned:
        found.append(recovery("restore_repo2", learned[2], present, wal_since(present, 2, known.ends)))
    over = rates(restores, 1, version, delta=True)
    replay = over.replay or learned[1].replay
    found.append(recovery("delta_restore", Rates(1, over.restore, replay, over.n), present, newest))
    found.append(verification(present, restores, version))
    return found


def recovery(kind: str, learned: Rates, present: Sequence[Made], wal: Amount | None) -> Recovery:
    """Copying the newest backup, and replaying so much WAL."""
    size = newest_size(present, learned.repo)
    restore, replay = learned.restore, learned.replay
    if restore is None or replay is None:
        return Recovery(kind, learned.repo, learned.n, _too_few(kind, learned), bytes=size, wal=wal)
    if size is None:
        return Recovery(
            kind, learned.repo, learned.n, f"no backup in repository {learned.repo} tells its size", wal=wal
        )
    if wal is None:
        reason = "how much WAL there is to replay is not known"
        return Recovery(kind, learned.repo, learned.n, reason, bytes=size)
    copy, replayed = restore.at(size), replay.at(wal.bytes)
    span = Estimate(replayed.seconds, replay.at(wal.low).low, replay.at(wal.high).high)
    return Recovery(
        kind,
        learned.repo,
        min(restore.n, replay.n),
        _exceeds(restore, size),
        copy + span,
        copy.seconds,
        replayed.seconds,
        size,
        wal,
    )


def verification(present: Sequence[Made], restores: Sequence[Restored], version: str | None) -> Recovery:
    """All of a verification of level standard, to the target that they are made to: its whole time by bytes."""
    kind = "verification_standard"
    own = [one for one in restores if one.repo == 1 and one.level == "standard" and one.total is not None]
    samples = [
        Sample(one.bytes, t.cast(float, one.total), weight(age, one, version))
        for age, one in reversed([*enumerate(reversed(own))])
    ]
    model, size = duration.fit(samples), newest_size(present, 1)
    if model is None:
        return Recovery(kind, 1, len(samples), _too_few(kind, Rates(1, None, None, len(samples))), bytes=size)
    if size is None:
        return Recovery(kind, 1, model.n, "no backup in repository 1 tells its size")
    return Recovery(kind, 1, model.n, "", model.at(size), bytes=size)


def newest_size(present: Sequence[Made], repo: int) -> float | None:
    """Bytes that a restore of the newest backup of a repository copies."""
    return next((one.size for one in reversed(present) if one.repo == repo and one.size), None)


def _too_few(kind: str, learned: Rates) -> str:
    what = "delta restores" if kind == "delta_restore" else f"restores from repository {learned.repo}"
    return f"{learned.n} {what} were measured, of at least {duration.LEAST_SAMPLES}"


def _exceeds(model: Model, size: float) -> str:
    if size > FAR * model.largest:
        return f"{size / model.largest:.0f} times as large as anything that was restored"
    return ""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


# verdict --------------------------------------------------------------------------------------------------------------


def check(one: Recovery, rto: t.Any) -> Check:
    """A promised recovery against the objective: an interval that reaches over it proves neither."""
    name = f"forecast_{one.kind}"
    if one.estimate is None:
        return Check(name, Verdict.UNKNOWN, one.reason)
    said = f"{one.estimate.seconds:.3g} s expected, {one.estimate.low:.3g} to {one.estimate.high:.3g} s"
    if isinstance(rto, bool) or not isinstance(rto, int | float):
        return Check(name, Verdict.UNKNOWN, f"{said}; there is no objective for it")
    said = f"{said}, of at most {rto:g} s"
    if one.estimate.seconds > rto:
        return Check(name, Verdict.FAILED, said)
    return Check(name, Verdict.PASSED if one.estimate.high <= rto else Verdict.UNKNOWN, said)


def kept(forecast: Facts) -> dict[str, t.Any]:
    """What of a forecast is written down: without the tests of earlier ones, which are there already."""
    return {**forecast, "errors": {**forecast["errors"], "tests": []}}

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far past forecasts were off: every verification is a test of the forecast that was made before it. Pure."""

from __future__ import annotations

import bisect
import statistics
import typing as t
from collections.abc import Sequence

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import duration
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import Record, Restored
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.duration import Estimate

#: The newest tests that are told one by one.
TOLD = 200


def errors(forecasts: Sequence[Record], verifications: Sequence[Record]) -> dict[str, t.Any]:
    """How far past forecasts were off: each restore against the last forecast that was made before it.

    Judged at the bytes that it really moved, so that this is the error of the rates. Percent of what was measured.
    """
    # The last that was said when so many verifications had been made.
    said = sorted(forecasts, key=lambda one: records.number(one, "verifications") or 0.0)
    counts = [records.number(one, "verifications") or 0.0 for one in said]
    tests = []
    for number, line in enumerate(verifications):
        before = bisect.bisect_right(counts, number)
        if before and (test := tested(line, said[before - 1])) is not None:
            tests.append(test)
    wrong = [100 * abs(test["seconds"] / test["measured"] - 1) for test in tests]
    return {
        "n": len(tests),
        "median_percent": round(statistics.median(wrong), 1) if wrong else None,
        "max_percent": round(max(wrong), 1) if wrong else None,
        "within_interval": sum(test["low"] <= test["measured"] <= test["high"] for test in tests),
        "tests": tests[-TOLD:],
    }


def tested(line: Record, said: Record) -> dict[str, t.Any] | None:
    """A verification beside what was forecast of it; None where either tells nothing."""
    found = records.restored([line], {})
    if not found or found[0].delta or found[0].replay is None or found[0].wal_bytes is None:
        return None
    one = found[0]
    measured, estimate = one.restore + t.cast(float, one.replay), remembered(said, one)
    if estimate is None or measured <= 0:
        return None
    return {
        "utc": records.text(line, "utc"),
        "repo": one.repo,
        "measured": round(measured, 3),
        **{name: round(value, 3) for name, value in vars(estimate).items()},
    }


def remembered(said: Record, one: Restored) -> Estimate | None:
    """What a forecast that was kept says of a restore."""
    models = said.get("models")
    for known in models if isinstance(models, list) else []:
        try:
            if known["repo"] == one.repo and known["restore"] and known["replay"]:
                restore, replay = (duration.from_dict(known[name]) for name in ("restore", "replay"))
                return restore.at(one.bytes) + replay.at(t.cast(float, one.wal_bytes))
        except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
            return None
    return None

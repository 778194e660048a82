# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``--check`` of an operation prints the plan with its numbers, needs no confirmation, and changes nothing."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

from lab_hosts import Lab, Played, Standing


def planned(lab: Lab, operation: str, evidence: Path, **variables: t.Any) -> Played:
    return lab.play(operation, evidence, "--check", confirm=None, **variables)


def demand_plan(plan: Played, evidence: Path, *words: str) -> None:
    """It came to its end, says these words, changed nothing on any host and left no evidence of a deed."""
    assert plan.rc == 0, plan.said
    for word in words:
        assert re.search(word, plan.said), (word, plan.said)
    assert set(re.findall(r"changed=(\d+)", plan.said)) == {"0"}, plan.said
    assert not evidence.exists()


def demand_untouched(lab: Lab, before: dict[str, Standing]) -> None:
    assert lab.untouched(before), (before, lab.standings())
    assert lab.at_work() == []


def test_a_switchover_is_planned(lab: Lab, tmp_path: Path) -> None:
    before, primary = lab.standings(), lab.primary
    plan = planned(lab, "switchover", tmp_path / "evidence")
    others = "|".join(lab.standbys)
    demand_plan(
        plan, tmp_path / "evidence",
        rf"({others}) takes over from {primary} \(not ({others}): [^)]+\); it is \d+ bytes of WAL behind",
    )  # fmt: skip
    demand_untouched(lab, before)


def test_a_failover_is_planned(lab: Lab, tmp_path: Path) -> None:
    """Of a primary whose host hangs: SSH's port answers, nobody is behind it."""
    before, primary = lab.standings(), lab.primary
    timeline, others = before[primary].timeline, "|".join(lab.standbys)
    with lab.frozen(primary):
        plan = planned(lab, "failover", tmp_path / "evidence")
    demand_plan(
        plan, tmp_path / "evidence",
        rf"({others}) takes over from {primary}[^;]*; it holds WAL up to [0-9A-F]+/[0-9A-F]+ on timeline {timeline}, ",
        r"no other member holds more|\d+ bytes of WAL[^;]* are left behind",
        rf"the fence agent \S+ answers, and would switch {primary} off",
        r"\d+ bytes of WAL come from the receiver|no receiver on \S+ is known to hold more",
    )  # fmt: skip
    demand_untouched(lab, before)


def test_a_rejoin_is_planned(lab: Lab, tmp_path: Path) -> None:
    primary, away = lab.primary, lab.standbys[-1]
    unit = json.loads(lab.said(away, "cat /etc/fraiseql-resilience/member.json"))["unit"]
    before = lab.standings()
    lab.said(away, "systemctl stop %s", unit)
    try:
        plan = planned(lab, "rejoin", tmp_path / "evidence")
        assert lab.on(away).run("systemctl is-active %s", unit).rc != 0
    finally:
        lab.said(away, "systemctl start %s", unit)
    demand_plan(
        plan, tmp_path / "evidence",
        rf"{away} would be brought back to follow {primary} on timeline {before[primary].timeline}",
        rf"{away}: start, since {primary} has all that it holds",
    )  # fmt: skip
    started = lab.value(away, "SELECT pg_postmaster_start_time()")
    demand_untouched(lab, {**before, away: before[away]._replace(started=started)})


def test_a_restore_is_planned(lab: Lab, tmp_path: Path) -> None:
    before, primary = lab.standings(), lab.primary
    plan = planned(lab, "restore", tmp_path / "evidence", restore_type="immediate")
    demand_plan(
        plan, tmp_path / "evidence",
        rf"{primary} would be restored from repository \d+, \d+ MB with \d+ MB free; immediate: the end of backup",
        r"the recovery window is repository \d+, timeline \d+: \S+ \([^)]+\) to \S+ \([^)]+\)",
    )  # fmt: skip
    demand_untouched(lab, before)


def test_a_repository_that_is_whole_is_left_as_it_is(lab: Lab, tmp_path: Path) -> None:
    before = lab.standings()
    plan = planned(lab, "repository_restore", tmp_path / "evidence")
    demand_plan(plan, tmp_path / "evidence", r"0 objects, 0\.0 MB, .*nothing is damaged")
    demand_untouched(lab, before)

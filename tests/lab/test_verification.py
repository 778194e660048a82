# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification by timers and by playbook: a manifest of a standby, a restore on the repository host, a verdict."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from lab_hosts import Lab

SCRATCH = "/var/lib/fraiseql-resilience/scratch"
RESULTS = "cat /var/lib/fraiseql-resilience/verifications/*/results.jsonl"
#: Seconds that a playbook may take which restores all that there is.
VERIFY_SECONDS = 400


def repository(lab: Lab) -> str:
    [only] = lab.group("repositories")
    return only


def asynchronous(lab: Lab) -> str:
    """A standby that no commit waits for."""
    names = lab.value(lab.primary, "SHOW synchronous_standby_names")
    return next(name for name in lab.standbys if name not in names)


def results(lab: Lab) -> list[dict[str, t.Any]]:
    answer = lab.on(repository(lab)).run(RESULTS)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_every_timer_is_due(lab: Lab) -> None:
    listed = "systemctl list-timers --all --no-legend 'resilience-*'"
    verifying = lab.said(repository(lab), listed)
    for unit in ("quick-1", "standard-1", "full-1", "standard-2"):
        assert f"resilience-verify@{unit}.timer" in verifying
    for member in lab.members:
        assert "resilience-content.timer" in lab.said(member, listed)


@pytest.fixture(scope="module")
def manifest(lab: Lab, wait: t.Callable[..., t.Any]) -> str:
    """Taken as the timer takes it; its WAL is in every repository."""
    taker = asynchronous(lab)
    lab.said(taker, "rm -f /tmp/since && touch /tmp/since && systemctl start resilience-content.service")
    tell = "journalctl --no-pager --output=cat --unit=resilience-content.service --lines=20"

    def told() -> str:
        """What it said of a manifest; the journal may be behind the unit."""
        said = lab.said(taker, tell)
        return said if "is in repository 1" in said or "is fresh" in said else ""

    said: str = wait(told, seconds=15)
    assert said, lab.said(taker, tell)
    lab.value(lab.primary, "SELECT pg_switch_wal() FROM pg_create_restore_point('after the manifest')")
    archived = "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 16777216) FROM pg_stat_archiver"
    assert wait(lambda: lab.value(lab.primary, archived) == "t", seconds=60)
    return said


def test_the_standby_goes_on_replaying(lab: Lab, manifest: str) -> None:
    assert lab.value(asynchronous(lab), "SELECT pg_get_wal_replay_pause_state()") == "not paused"


@pytest.mark.parametrize("what", ["quick-1", "standard-1", "full-1", "standard-2"])
def test_a_backup_is_good_by_the_timers_own_unit(lab: Lab, manifest: str, what: str) -> None:
    host = repository(lab)
    before = len(results(lab))
    histories = lab.said(host, "find /var/lib/pgbackrest -name '*.history' -printf '%p %s %T@\n' | sort")
    answer = lab.on(host).run(f"systemctl start resilience-verify@{what}.service")
    [line] = results(lab)[before:]
    bad = [check for check in line["checks"] if check["verdict"] != "passed"]
    assert (answer.rc, bad) == (0, [])
    assert (f"{line['level']}-{line['repo']}", line["verdict"], line["by"]) == (what, "passed", "timer")
    if line["level"] != "quick":
        assert line["manifest"] and line["label"] and line["replayed_bytes"] > 0
        assert any(check["name"] == "content: tables" for check in line["checks"])
    assert lab.said(host, f"find {SCRATCH} -mindepth 1 -not -name lock") == ""
    assert lab.on(host).run("pgrep -f %s", f"{SCRATCH}/restore-").stdout == ""
    assert lab.said(host, "find /var/lib/pgbackrest -name '*.history' -printf '%p %s %T@\n' | sort") == histories


def test_the_playbook_verifies_with_evidence_and_needs_no_confirmation(lab: Lab, tmp_path: Path) -> None:
    before = lab.standings()
    played = lab.play("verify", tmp_path, confirm=None, seconds=VERIFY_SECONDS)
    assert played.rc == 0, played.said
    [folder] = tmp_path.iterdir()
    report = json.loads((folder / "report.json").read_text())
    assert (report["operation"], report["verdict"]) == ("verify", "passed")
    names = {check["name"] for check in report["checks"]}
    assert {"repository 1: content: tables", "repository 1: markers: from both sides"} <= names
    assert (folder / "verification.json").exists()
    assert "passw" not in (folder / "verification.json").read_text().replace("passwords", "")
    assert lab.untouched(before)


def test_the_plan_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    before = len(results(lab))
    played = lab.play("verify", tmp_path, "--check", confirm=None)
    assert played.rc == 0, played.said
    assert "MB needed" in played.said
    assert (list(tmp_path.iterdir()), len(results(lab))) == ([], before)

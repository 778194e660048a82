# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that run by themselves: timers, a run of one, the catalogue and its copies, what a scraper sees."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from lab_hosts import Lab
from prometheus_client.parser import text_string_to_metric_families

SCHEDULED = ("1-full", "1-incr", "2-full")
TIMERS = [*(f"resilience-backup@{name}.timer" for name in SCHEDULED), "resilience-backup-metrics.timer"]
METRICS = "/var/lib/prometheus/node-exporter/resilience_backup.prom"
#: Two looks at each repository, and the way of a segment into both between them. One that is slow to look at is looked
#: at less often, sixty times what a look costs: once a minute at most, and on a busy machine once in several.
METRICS_SECONDS = 300
#: Between two looks: the segments that are begun in so many seconds have to be archived and sent to every standby.
PAUSE_SECONDS = 3


@pytest.fixture
def repository(lab: Lab) -> str:
    [only] = lab.group("repositories")
    return only


@pytest.fixture
def stanza(lab: Lab, repository: str) -> str:
    return str(json.loads(lab.said(repository, "cat /etc/fraiseql-resilience/repository.json"))["stanza"])


def catalogue(lab: Lab, repository: str, stanza: str) -> list[dict[str, t.Any]]:
    """Its lines; none before the first backup that a timer or the playbook took."""
    path = f"/var/lib/fraiseql-resilience/backups/{stanza}/catalogue.jsonl"
    said = lab.said(repository, "if test -e %s; then cat %s; fi", path, path)
    return [json.loads(line) for line in said.splitlines()]


def samples(lab: Lab, repository: str) -> dict[tuple[str, ...], float]:
    """Metrics by name, repository and type."""
    text = lab.said(repository, "cat %s", METRICS) + "\n"
    return {
        (sample.name, sample.labels.get("repo", ""), sample.labels.get("type", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "verdict" not in sample.labels
    }


@pytest.mark.parametrize("timer", TIMERS)
def test_the_timer_waits_now_and_after_a_boot(lab: Lab, repository: str, timer: str) -> None:
    assert lab.said(repository, "systemctl is-active %s", timer) == "active"
    assert lab.said(repository, "systemctl is-enabled %s", timer) == "enabled"


def test_backups_follow_the_clock_in_utc_and_make_up_for_what_was_missed(lab: Lab, repository: str) -> None:
    for name in SCHEDULED:
        timer = lab.said(repository, "systemctl cat %s", f"resilience-backup@{name}.timer")
        assert "Persistent=true" in timer and "RandomizedDelaySec=" in timer
        [calendar] = [line for line in timer.splitlines() if line.startswith("OnCalendar=")]
        assert calendar.endswith(" UTC")


def test_what_a_timer_starts_takes_a_backup_that_passes(lab: Lab, repository: str, stanza: str) -> None:
    before = len(catalogue(lab, repository, stanza))
    lab.said(repository, "systemctl start resilience-backup@1-incr.service")
    [*_adopted, line] = catalogue(lab, repository, stanza)[before:]
    assert line["verdict"] == "passed", line["checks"]
    assert (line["repo"], line["wanted"], line["by"]) == (1, "incr", "timer")
    assert line["from"] in lab.members
    listed = json.loads(lab.said(repository, "cd / && runuser -u postgres -- pgbackrest --repo=1 --output=json info"))
    [found] = [one for one in listed if one["name"] == stanza]
    assert line["label"] == found["backup"][-1]["label"]
    # Those that playbooks took are there, too.
    known = {one["label"] for one in catalogue(lab, repository, stanza)}
    assert {one["label"] for one in found["backup"]} <= known
    assert line["system_id"] == lab.value(lab.primary, "SELECT system_identifier FROM pg_control_system()")
    # Pages that a standby can give are not read from the primary.
    if lab.standbys:
        assert line["from"] != lab.primary or line["warnings"], line


@pytest.mark.parametrize("repo", [1, 2])
def test_the_catalogue_is_read_from_a_repository_without_its_key(
    lab: Lab, repository: str, stanza: str, repo: int
) -> None:
    read = "cd / && runuser -u postgres -- pgbackrest --repo=%s --repo1-cipher-type=none --repo2-cipher-type=none"
    copy = lab.said(repository, f"{read} repo-get %s", str(repo), f"resilience/{stanza}/catalogue.jsonl")
    assert [json.loads(line) for line in copy.splitlines()] == catalogue(lab, repository, stanza)


def test_a_scraper_sees_backups_window_and_what_is_archived(
    lab: Lab, repository: str, stanza: str, application: dict[str, t.Any], wait: t.Callable[..., t.Any]
) -> None:
    written = "INSERT INTO resilience.marker (name, lsn) VALUES (gen_random_uuid(), '0/0') RETURNING 1"
    assert lab.client(written, **application).rows
    now = float(lab.said(repository, "date +%s"))
    safe = "resilience_archive_safe_timestamp_seconds"

    def reached() -> bool:
        """A look, then what was written by then is archived, and the next look sees it there."""
        # systemd refuses what begins too often, and forgets that when it is told to.
        lab.said(
            repository, "systemctl reset-failed %s; systemctl start %s", *["resilience-backup-metrics.service"] * 2
        )
        lab.value(lab.primary, "SELECT pg_switch_wal()")
        seen = samples(lab, repository)
        if all(seen.get((safe, repo, ""), 0) >= now for repo in ("1", "2")):
            return True
        time.sleep(PAUSE_SECONDS)
        return False

    assert wait(reached, seconds=METRICS_SECONDS), samples(lab, repository)
    found = samples(lab, repository)
    last = [line for line in catalogue(lab, repository, stanza) if line["verdict"] == "passed" and line["repo"] == 1][
        -1
    ]
    assert found["resilience_backup_size_bytes", "1", last["wanted"]] == last["size"]
    assert found["resilience_repository_free_bytes", "1", ""] > 0
    for repo in ("1", "2"):
        assert found["resilience_archive_gaps", repo, ""] == 0
        start, end = (
            found[f"resilience_recovery_window_{edge}_timestamp_seconds", repo, ""] for edge in ("start", "end")
        )
        assert start < end <= time.time() + 60

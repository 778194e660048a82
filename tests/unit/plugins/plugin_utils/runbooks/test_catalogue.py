# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runbooks that ship, and what there is in this collection that they may name."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import parsed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.lint import Source, lint
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.safety import READING_PLAYBOOKS
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue, page

SOURCES = catalogue.sources()
KNOWN = catalogue.known(SOURCES)
#: A scenario that is drilled is one that somebody may meet.
DRILLED = {
    "backup_corrupt", "cross_region_restore", "data_loss", "primary_crash", "primary_host_lost",
    "primary_unresponsive", "ransomware", "region_lost", "repository_lost",
}  # fmt: skip


def test_nothing_is_wrong_with_those_that_ship() -> None:
    """But for a review that is due: a checkout does not get worse by lying there."""
    newest = max(date.fromisoformat(source.document["reviewed"]) for source in SOURCES)
    assert list(map(str, lint(SOURCES, catalogue.schema(), KNOWN, newest))) == []
    assert not KNOWN.unseen


def test_what_commands_take_for_granted_can_be_seen_and_is_said() -> None:
    """Where a port, a path or a user is another one, somebody has to know what to type in its place."""
    pages = {
        source.folder: page.page(parsed(source.document, catalogue.schema(), source.folder), {}) for source in SOURCES
    }
    for folder, text in pages.items():
        for host in re.findall(r"host=\$\w+ \S+", text):
            assert " port=" in host, f"{folder}: {host}"
    for word, variable in {
        "port=5432": "resilience_postgresql_port",
        "port=6432": "gateway_port",
        "/received-wal/": "pgbackrest_receiver_directory",
        "-u postgres pgbackrest": "pgbackrest_user",
        "/var/lib/pgbackrest": "pgbackrest_repo1_path",
    }.items():
        typed = {folder: text for folder, text in pages.items() if word in text}
        assert typed and [folder for folder, text in typed.items() if f"({variable}" not in text] == []


def test_what_is_drilled_has_a_runbook() -> None:
    assert {source.folder for source in SOURCES} >= DRILLED
    assert {path.stem for path in (catalogue.TOP / "playbooks" / "drills").glob("*.yml")} >= DRILLED


def test_what_there_is_was_found() -> None:
    assert {"NoPrimary", "Watchdog"} <= KNOWN.alerts
    assert {"up", "probe_success", "resilience:transaction_good", "resilience_archive_gaps"} <= KNOWN.metrics
    assert {"postgresql", "login", "heartbeat", "pgbouncer", "certificate"} <= KNOWN.components
    assert {"failover", "status"} <= KNOWN.playbooks
    assert {"failover", "restore_commit"} <= KNOWN.approved and not {"status", "verify"} & KNOWN.approved
    assert KNOWN.modules["cluster_info"].reads and "timeout" in KNOWN.modules["cluster_info"].options
    assert not KNOWN.modules["fencing"].reads
    assert {"resilience_lost_region", "resilience_restore_target", "pgbackrest_s3_key"} <= KNOWN.variables
    assert {"pgbackrest.service", "resilience-backup@.timer", "postgresql@.service"} <= KNOWN.units


def test_playbooks_that_only_look_are_there_and_ask_nobody() -> None:
    assert KNOWN.playbooks - KNOWN.approved >= READING_PLAYBOOKS
    for name in READING_PLAYBOOKS:
        text = (catalogue.TOP / "playbooks" / f"{name}.yml").read_text()
        assert re.search(r"nothing is changed|changes no host", text.split("- name:")[0], re.IGNORECASE), name


def test_what_lies_beside_a_runbook_is_found() -> None:
    paused = catalogue.source(catalogue.RUNBOOKS, "replay_paused")
    assert paused.beside.playbooks == {"inject", "respond", "verify"}
    assert paused.beside.approved == {"respond"}
    called = catalogue.own(catalogue.RUNBOOKS, paused)
    assert called == {name: f"fraiseql.resilience.runbooks.replay_paused.{name}" for name in ("respond", "verify")}
    assert catalogue.own(Path("/srv/books"), paused)["respond"] == "/srv/books/replay_paused/respond.yml"
    tests = [one for one in KNOWN.expressions if "steps.look.outcome" in one]
    assert tests and not any(KNOWN.expressions[one].wrong for one in tests)


def test_a_runbook_cannot_vouch_for_its_own_names() -> None:
    """What only a runbook names is not taken for something that a playbook reads."""
    assert "resilience_of_nobody" not in KNOWN.variables
    source = Source("a", {"references": ["docs/nowhere.md", "README.md", "docs/failover.md#nothing", "gone/a.md"]})
    found = catalogue.known([source])
    assert (found.links, found.unseen) == ({"README.md"}, {"gone/a.md"})


def test_dates_need_no_quotes(tmp_path: Path) -> None:
    text = (catalogue.RUNBOOKS / "primary_crash" / "runbook.yml").read_text()
    assert "reviewed: 2026-" in text
    (tmp_path / "primary_crash").mkdir()
    (tmp_path / "primary_crash" / "runbook.yml").write_text(text)
    [source] = catalogue.sources(tmp_path)
    assert parsed(source.document, catalogue.schema(), source.folder).reviewed.startswith("2026-")


def test_a_folder_without_runbooks_and_a_file_that_is_no_yaml_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no runbook"):
        catalogue.sources(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "runbook.yml").write_text("a: [1")
    with pytest.raises(InputError, match="a runbook is no YAML"):
        catalogue.sources(tmp_path)

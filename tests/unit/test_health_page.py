# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/health.md says what the agent does: every kind with its defaults, every path, every metric."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.health.answers import Answers
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.checks import KINDS, SESSION
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.options import REQUIRED
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.settings import parse

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs/health.md").read_text(encoding="utf-8")
#: What each kind looks at, in words.
LOOKS_AT = {
    "login": "a new session as a role of applications, and how long it takes",
    "latency": "95th percentile of a statement's last 60 answers",
    "sessions": "connection slots in use; waits for locks, for standbys and for WAL to be written; idle transactions",
    "replication": "on a standby its stream; on a primary its standbys, and whom commits wait for",
    "heartbeat_seen": "how long the heartbeat's row has not changed here",
    "heartbeat": "a row that is written and read back",
    "slots": "WAL that slots hold back, lost and unused slots",
    "archiving": "WAL that waits for the archive",
    "transaction_ids": "transaction and multixact numbers in use, prepared transactions",
    "sequences": "sequences, by what they and their column can hold",
    "checksums": "pages with a wrong checksum",
    "storage": "some blocks of each tablespace, others each time",
    "configuration": "errors in its files, settings that wait for a restart",
    "pgbouncer": "clients against the most, and how long they wait for a pool",
    "filesystem": "free space and inodes, read-only, and when it will be full",
    "memory": "available memory, and who was killed for want of it",
    "clock": "this host's clock against its peers'",
    "certificates": "days until they end",
    "timers": "systemd timers, and the last run of what they start",
    "tcp": "a port that answers",
    "http": "a URL that answers, and what it says",
    "primaries": "how many members serve as primary",
    "vantages": "what several places see of a service",
}


def row(kind: str) -> str:
    found = KINDS[kind]
    ready = found.ready
    options = "; ".join(option(name, one.default) for name, one in found.options.items() if name not in own(kind))
    session = "session; " if own(kind) else ""
    return f"| `{kind}` | {LOOKS_AT[kind]} | {found.every:g} | {found.deadline:g} | {ready} | {session}{options} |"


def own(kind: str) -> t.Container[str]:
    """The options of a session are explained once."""
    return SESSION if set(SESSION) <= set(KINDS[kind].options) else ()


def option(name: str, default: t.Any) -> str:
    if default is REQUIRED:
        return f"`{name}` (required)"
    if isinstance(default, tuple):
        return f"`{name}` [{', '.join(f'{one:.10g}' for one in default)}]"
    return f"`{name}` {default}".rstrip()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told_with_its_defaults(kind: str) -> None:
    assert row(kind) in PAGE.splitlines()


def test_each_fault_that_is_made_has_its_row() -> None:
    """docs/health-faults.md tells of just those faults that a test makes."""
    page = (TOP / "docs/health-faults.md").read_text(encoding="utf-8")
    told = re.findall(r"`(\w+)` \|$|\(`(\w+_\w+)`\)", page, flags=re.MULTILINE)
    folder = TOP / "tests/unit/roles/health"
    made = [
        name
        for file in ("test_health_faults.py", "test_green_faults.py")
        for name in re.findall(r"^def test_(\w+)", (folder / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert sorted(row or other for row, other in told) == sorted(made)


def test_a_sessions_options_are_told() -> None:
    [line] = [line for line in PAGE.splitlines() if line.startswith("The options of a session are")]
    assert re.findall(r"`(\w+)`", line)[: len(SESSION)] == list(SESSION)


def test_each_path_is_told() -> None:
    answers = Answers(parse({"member": {"descriptor": "a", "fenced_marker": "b"}}), lambda: None, lambda _name: None)
    assert [path for path in answers.paths if f"| `{path}`" not in PAGE] == []


def test_each_metric_is_told() -> None:
    source = (TOP / "plugins/module_utils/judge/health/metrics.py").read_text(encoding="utf-8")
    names = re.findall(r'Metric\("(\w+)"', source)
    assert len(names) == 5
    assert [name for name in names if f"`{name}`" not in PAGE] == []

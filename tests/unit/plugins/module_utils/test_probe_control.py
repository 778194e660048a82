# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, watching and stopping the probe's service, without systemd."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.probe_control import ProbeControl

SECOND = 1_000_000_000
NOW = 100 * SECOND
SETTINGS = {"clients": 2, "interval_seconds": 0.05, "connection": {"host": "gate"}}


class Host:
    """systemd, and what the probe that it starts says of itself."""

    def __init__(self, folder: Path, *, acked: list[int | None] | None = None) -> None:
        self.folder = folder
        self.running = self.ending = False
        self.acked = [NOW, NOW] if acked is None else acked
        self.ran: list[list[str]] = []

    def run(self, argv: t.Sequence[str], *, timeout: float, **_more: t.Any) -> Completed:
        assert timeout > 0
        self.ran.append(list(argv))
        verb, word = argv[1], ""
        if verb == "is-active":
            word = "deactivating" if self.ending else "active" if self.running else "inactive"
        elif verb == "start":
            self.running = True
            self.says()
        elif verb == "stop":
            self.running = self.ending = False
        return Completed(tuple(argv), 0 if word in ("", "active") else 3, f"{word}\n", "", 0.01)

    def says(self, **changes: t.Any) -> None:
        config = self.folder / "state/drill/config.json"
        status = {
            "run": json.loads(config.read_text())["run"] if config.exists() else None,
            "state": "running", "updated_ns": NOW, "acked_ns": self.acked, "outages": [], "last_error": "no primary",
            "outcomes": {"acked": 0}, **changes,
        }  # fmt: skip
        (self.folder / "probe-drill.json").write_text(json.dumps(status))

    def verbs(self) -> list[str]:
        return [argv[1] for argv in self.ran]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def control(host: Host, name: str = "drill", now: int = NOW) -> ProbeControl:
    return ProbeControl(name, host.run, host.folder / "state", host.folder, lambda: now)


def outage(t3: float, t8: float | None = None) -> dict[str, t.Any]:
    return {
        "t1_ns": 1, "t2_ns": 2, "t3_ns": round(t3 * SECOND), "rule": "silence", "t7_ns": t8,
        "t8_ns": None if t8 is None else round(t8 * SECOND),
    }  # fmt: skip


def test_a_run_begins_with_a_new_ledger(host: Host) -> None:
    probe = control(host)
    assert probe.start(SETTINGS, check_mode=False, timeout=1) is True
    config = probe.config()
    assert config is not None
    assert {key: config[key] for key in SETTINGS} == SETTINGS
    assert probe.ledger_path() == host.folder / "state/drill" / f"{config['run']}.jsonl"
    assert "resilience-probe@drill.service" in host.ran[-1]


def test_the_same_probe_is_not_started_twice(host: Host) -> None:
    probe = control(host)
    probe.start(SETTINGS, check_mode=False, timeout=1)
    run = (probe.config() or {})["run"]
    assert probe.start(SETTINGS, check_mode=False, timeout=1) is False
    assert (probe.config() or {})["run"] == run
    with pytest.raises(InputError, match=r"other settings \(clients\)"):
        probe.start({**SETTINGS, "clients": 3}, check_mode=False, timeout=1)


def test_check_mode_starts_and_stops_nothing(host: Host) -> None:
    probe = control(host)
    assert probe.start(SETTINGS, check_mode=True, timeout=1) is True
    assert probe.config() is None
    host.running = True
    assert probe.stop(check_mode=True) is True
    assert host.verbs() == ["is-active", "is-active"]


def test_a_probe_that_cannot_commit_is_stopped_again_and_says_why(tmp_path: Path) -> None:
    host = Host(tmp_path, acked=[NOW, None])
    with pytest.raises(UnknownError, match="no primary") as caught:
        control(host).start(SETTINGS, check_mode=False, timeout=0.05)
    assert host.running is False
    assert "journalctl" in str(caught.value.next_step)


def test_the_last_word_of_an_earlier_run_is_not_that_of_the_new_one(tmp_path: Path) -> None:
    """A drill that was killed has told its probe to stop, which still ends when the next drill starts one."""

    class Ending(Host):
        def says(self, **_changes: t.Any) -> None:
            super().says(state="stopped", run="earlier")

    with pytest.raises(UnknownError, match="every client"):
        control(Ending(tmp_path)).start(SETTINGS, check_mode=False, timeout=0.05)


def test_one_that_is_ending_is_waited_for(host: Host) -> None:
    host.ending = True
    assert control(host).stop(check_mode=False) is True
    assert host.verbs() == ["is-active", "stop"]


def test_a_probe_that_does_not_run_is_not_stopped(host: Host) -> None:
    assert control(host).stop(check_mode=False) is False
    assert "stop" not in host.verbs()


def test_old_ledgers_go_and_the_newest_stay(host: Host) -> None:
    folder = host.folder / "state/drill"
    folder.mkdir(parents=True)
    for number in range(15):
        (folder / f"{number:02}.jsonl").write_text("")
        os.utime(folder / f"{number:02}.jsonl", (number, number))
    control(host).start(SETTINGS, check_mode=False, timeout=1)
    assert sorted(path.stem for path in folder.glob("*.jsonl")) == [f"{number:02}" for number in range(6, 15)]


def test_an_outage_after_the_moment_is_returned(host: Host) -> None:
    host.says(outages=[outage(50, 60), outage(70, 80)])
    assert control(host).await_outage(since_ns=65 * SECOND, timeout=0.05)["t3_ns"] == 70 * SECOND


def test_an_outage_that_is_not_over_counts_whenever_it_began(host: Host) -> None:
    host.says(outages=[outage(50)])
    assert control(host).await_outage(since_ns=NOW, timeout=0.05)["t3_ns"] == 50 * SECOND


def test_waiting_for_an_outage_is_bounded(host: Host) -> None:
    host.says(outages=[outage(50, 60)])
    with pytest.raises(UnknownError, match="in vain: the probe detects an outage"):
        control(host).await_outage(since_ns=NOW, timeout=0.05)


def test_recovery_is_every_client_back(host: Host) -> None:
    host.says(outages=[outage(50)])
    with pytest.raises(UnknownError, match="every client"):
        control(host).await_recovery(since_ns=0, timeout=0.05)
    host.says(outages=[outage(50, 60)])
    found = control(host).await_recovery(since_ns=0, timeout=0.05)
    assert found is not None
    assert found["t8_ns"] == 60 * SECOND


def test_an_outage_that_begins_after_the_look_is_not_the_one_that_is_over(host: Host) -> None:
    class Meanwhile(ProbeControl):
        def status(self) -> dict[str, t.Any] | None:
            seen = super().status()
            host.says(outages=[outage(50, 60), outage(70)])
            return seen

    host.says(outages=[outage(50, 60)])
    probe = Meanwhile("drill", host.run, host.folder / "state", host.folder, lambda: NOW)
    found = probe.await_recovery(since_ns=0, timeout=0.05)
    assert found is not None and found["t3_ns"] == 50 * SECOND


def test_without_an_outage_every_client_must_commit_once_more(host: Host) -> None:
    host.says(acked_ns=[NOW + 1, NOW])
    with pytest.raises(UnknownError, match="every client"):
        control(host).await_recovery(since_ns=0, timeout=0.05)
    host.says(acked_ns=[NOW + 1, NOW + 1])
    assert control(host).await_recovery(since_ns=0, timeout=0.05) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"state": "stopped"}, "does not run"), ({"updated_ns": NOW - 6 * SECOND}, "said nothing for 6")],
)
def test_nobody_waits_for_a_probe_that_is_gone(host: Host, changes: dict[str, t.Any], why: str) -> None:
    host.says(**changes)
    for wait in (control(host).await_outage, control(host).await_recovery):
        with pytest.raises(UnknownError, match=why):
            wait(since_ns=0, timeout=5)


def test_nobody_waits_for_a_probe_that_never_was(host: Host) -> None:
    with pytest.raises(UnknownError, match="does not run"):
        control(host).await_outage(since_ns=0, timeout=5)


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "-a", "a" * 40])
def test_a_name_that_is_none_is_refused(host: Host, name: str) -> None:
    with pytest.raises(InputError, match="not a name"):
        control(host, name)

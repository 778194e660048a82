# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in a lab with monitoring, until each alert that they have to raise has come to the receiver outside.

    make bench ONLY=fired LAB="-e lab_monitoring=true"       half an hour; the lab is removed afterwards

An alert is told when Alertmanager's webhook has brought it to this machine; its seconds count from the moment at which
its fault was made, with the waits of its rule and of its severity. What was told is kept in docs/alerts-fired.json, and
shown in docs/alerts.md.
"""

from __future__ import annotations

import contextlib
import json
import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

import lab_faults
from lab_faults import Fault, Stage
from lab_hosts import Lab, eventually
from outside import Told, prometheus, receiver

FILE = Path(__file__).resolve().parents[2] / "docs" / "alerts-fired.json"
SCHEMA = "fraiseql.resilience/alerts-fired/1"
COMMAND = 'make bench ONLY=fired LAB="-e lab_monitoring=true"'
#: The slowest alert waits for ten minutes, its severity for another five.
WAVE_SECONDS = 1200
CALM_SECONDS = 1200


def set_up(bench: t.Any) -> None:
    """A lab that has no monitoring is made anew."""
    if not bench.lab.runner.get_variables("observer").get("resilience_monitoring"):
        bench.play("lab_down")
        bench.play("lab_up", "-e", "lab_monitoring=true")
        bench.play("site")


def fired(bench: t.Any) -> dict[str, float]:
    """One round: how many alerts were told. The file names those that were not, without seconds."""
    found: list[dict[str, t.Any]] = []
    with receiver(bench.lab) as told:
        on = lab_faults.stage(bench.lab)
        lab_faults.prepare(on)
        for faults in lab_faults.WAVES:
            lab_faults.demand_well(on)
            demand_calm(bench.lab, [name for fault in faults for name in fault.alerts])
            forget(bench.lab)
            found += wave(on, told, faults)
            keep(found)
    return {"rules_fired_live": float(len({one["alert"] for one in found if one["seconds"] is not None}))}


def demand_calm(lab: Lab, names: t.Sequence[str]) -> None:
    """What fires already would not be told anew.

    :raises AssertionError: it goes on for longer than any of these can remember.
    """
    asked = f'count(ALERTS{{alertstate="firing",alertname=~"{"|".join(names)}"}})'
    assert eventually(lambda: not prometheus(lab, f"query?query={quote(asked)}")["result"], seconds=CALM_SECONDS)


def forget(lab: Lab) -> None:
    """Alertmanager forgets what it has told: a group that it has told of would wait for its interval."""
    service, log = "prometheus-alertmanager", "/var/lib/prometheus/alertmanager/nflog"
    lab.said("observer", f"systemctl stop {service} && rm -f {log} && systemctl start {service}")


def wave(on: Stage, told: Told, faults: t.Sequence[Fault]) -> list[dict[str, t.Any]]:
    """Each alert of the faults with its seconds; None where it was not told in time."""
    begun: list[tuple[Fault, float]] = []
    with contextlib.ExitStack() as made:
        for fault in faults:
            begun.append((fault, time.monotonic()))
            made.callback(fault.undo, on)
            fault.make(on)
        eventually(
            lambda: all(told.of(name, since=at) for fault, at in begun for name in fault.alerts), seconds=WAVE_SECONDS
        )
    return [line(told, fault, name, at) for fault, at in begun for name in fault.alerts]


def line(told: Told, fault: Fault, name: str, since: float) -> dict[str, t.Any]:
    found = told.of(name, since=since)
    seconds = round(found[0]["at"] - since, 1) if found else None
    print(f"  {name}: {seconds or 'not told'}, {fault.what}", flush=True)
    return {
        "alert": name,
        "fault": fault.what,
        "seconds": seconds,
        "said": found[0]["annotations"]["summary"] if found else None,
    }


def keep(found: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = {"schema": SCHEMA, "measured_at": at, "command": COMMAND, "alerts": list(found)}
    FILE.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a cluster whole, and is nothing left over of an operation? Seen from outside, without the collection's code."""

from __future__ import annotations

import typing as t

from lab_hosts import Lab, eventually

#: Seconds in which everything has to be as it should: armed programs expire within 60.
SETTLE_SECONDS = 90
MARKS = ("fenced", "unprotected", "archive-exhausted", "incomplete")
AGENT = "resilience-health.service"
STREAM = "SELECT status, received_tli FROM pg_stat_wal_receiver"
TIMELINE = "SELECT timeline_id FROM pg_control_checkpoint()"
HELD_BACK = "SELECT count(*) FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL"


def problems(lab: Lab) -> list[str]:
    """What is wrong; looked at until nothing is, or time is up."""
    found: list[str] = []

    def well() -> bool:
        found[:] = [*topology(lab), *left_over(lab)]
        return not found

    eventually(well, seconds=SETTLE_SECONDS)
    return found or archiving(lab)


def topology(lab: Lab) -> list[str]:
    answering = {name: role(lab, name) for name in lab.members}
    silent = [f"{name} does not answer" for name, one in answering.items() if one == ""]
    primaries = [name for name, one in answering.items() if one == "f"]
    if silent or len(primaries) != 1:
        return [*silent, f"primaries: {', '.join(primaries) or 'none'}"]
    lab.sql(primaries[0], "CHECKPOINT")
    timeline = lab.value(primaries[0], TIMELINE)
    wrong = [f"{primaries[0]} has a standby.signal"] if has_signal(lab, primaries[0]) else []
    for name in answering.keys() - set(primaries):
        stream = lab.sql(name, STREAM)
        if stream != [["streaming", timeline]]:
            wrong.append(f"{name} on timeline {timeline}: {stream or 'does not stream'}")
        if (held := lab.value(name, HELD_BACK)) != "0":
            wrong.append(f"{name} holds WAL back for {held} slots")
    return wrong


def role(lab: Lab, member: str) -> str:
    """pg_is_in_recovery; empty where nobody answers."""
    asked = lab.on(member).run("cd / && runuser -u postgres -- timeout 10 psql -XAtc 'SELECT pg_is_in_recovery()'")
    return asked.stdout.strip() if asked.rc == 0 else ""


def has_signal(lab: Lab, member: str) -> bool:
    return lab.on(member).run("ls /var/lib/postgresql/*/*/standby.signal").rc == 0


def left_over(lab: Lab) -> list[str]:
    """What an operation arms, holds, masks, marks or starts, and that is to be gone after it."""
    wrong = []
    for name in lab.members:
        marks = (
            lab.on(name).run(f"cd /var/lib/fraiseql-resilience && ls -d {' '.join(MARKS)} 2>/dev/null").stdout.split()
        )
        units = active(lab, name, "resilience-promotion.service", "resilience-demotion.service")
        masked = lab.on(name).run("systemctl is-enabled 'postgresql@*'").stdout.count("masked")
        wrong += [f"{name}: {what}" for what in [*marks, *units, *(["PostgreSQL is masked"] if masked else [])]]
    [repository], [gateway], [observer] = (lab.group(name) for name in ("repositories", "gateways", "observers"))
    wrong += [f"{repository}: {unit}" for unit in active(lab, repository, "resilience-receiver-back.timer")]
    wrong += [f"{gateway}: {unit}" for unit in active(lab, gateway, "resilience-hold.service")]
    wrong += [f"{observer}: {unit} writes" for unit in running(lab, observer, "resilience-probe@*")]
    for name in sorted({*lab.members, gateway, observer}):
        if not active(lab, name, AGENT):
            wrong.append(f"{name}: the health agent does not run")
    if not active(lab, repository, "resilience-receivewal.service"):
        wrong.append(f"{repository}: the receiver does not run")
    return wrong


def active(lab: Lab, host: str, *units: str) -> list[str]:
    return [unit for unit in units if lab.on(host).run("systemctl is-active --quiet %s", unit).rc == 0]


def running(lab: Lab, host: str, pattern: str) -> list[str]:
    listed = lab.on(host).run("systemctl list-units --plain --no-legend --state=active %s", pattern).stdout
    return [line.split()[0] for line in listed.splitlines()]


def archiving(lab: Lab) -> list[str]:
    checked = lab.on(lab.primary).run("cd / && runuser -u postgres -- pgbackrest --stanza=lab check")
    return [] if checked.rc == 0 else [f"pgbackrest check: {checked.stderr or checked.stdout}"]


def lost(lab: Lab, acked: t.Iterable[int]) -> list[int]:
    """Acknowledged rows of the second writer that are not there."""
    there = {int(row[0]) for row in lab.sql(lab.primary, "SELECT number FROM resilience.witness", "resilience")}
    return sorted(set(acked) - there)

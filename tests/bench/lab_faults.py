# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that a lab with monitoring can have, what undoes them, and the alerts that they have to raise.

Faults of one wave last together. The last wave leaves a lab that has to be made anew.
"""

from __future__ import annotations

import shlex
import subprocess
import typing as t
from dataclasses import dataclass

from lab_hosts import Lab, eventually


@dataclass(frozen=True)
class Stage:
    """The lab, and who was what in it before any fault: one that is down could not be asked."""

    lab: Lab
    primary: str
    near: str
    far: str

    def named(self, host: str) -> str:
        """A host by its name, or the ``primary``, the standby that is ``near`` it, or the one that is ``far``."""
        return str(getattr(self, host)) if host in {"primary", "near", "far"} else host

    def said(self, host: str, command: str) -> str:
        return self.lab.said(self.named(host), command)

    def others(self, host: str) -> list[str]:
        """The addresses of the other members."""
        return [self.lab.variable(name, "ansible_host") for name in self.lab.members if name != self.named(host)]


def stage(lab: Lab) -> Stage:
    region = lab.variable(lab.primary, "resilience_region")
    near, far = sorted(lab.standbys, key=lambda name: lab.variable(name, "resilience_region") != region)
    return Stage(lab, lab.primary, near, far)


Step = t.Callable[[Stage], object]


def nothing(_on: Stage) -> None:
    pass


@dataclass(frozen=True)
class Fault:
    """``alerts`` have to be told while it lasts."""

    what: str
    alerts: tuple[str, ...]
    make: Step
    undo: Step = nothing


# --- what faults are made of ------------------------------------------------------------------------------------------


def run(host: str, *commands: str) -> Step:
    return lambda on: [on.said(host, command) for command in commands]


def attempt(host: str, command: str) -> Step:
    """A command that has to fail on the way."""
    return lambda on: on.lab.on(on.named(host)).run(command)


def sql(*statements: str, member: str = "primary") -> Step:
    return lambda on: [on.lab.sql(on.named(member), statement, "resilience") for statement in statements]


def all_of(*steps: Step) -> Step:
    return lambda on: [step(on) for step in steps]


def lasting(host: str, name: str, *argv: str, user: str = "postgres") -> Step:
    """A command that goes on, in a unit of its own."""
    return run(host, f"cd / && systemd-run --quiet --collect --unit=fired-{name} --uid={user} {shlex.join(argv)}")


def ended(host: str, *names: str) -> Step:
    """One that has ended by itself is gone already."""
    return attempt(host, f"systemctl stop {' '.join(f'fired-{name}.service' for name in names)}")


def psql(*statements: str) -> list[str]:
    return ["psql", "-Xq", "-d", "resilience", *(word for one in statements for word in ("-c", one))]


#: Of the file that is the argument: the byte so far from its end (or its beginning) becomes another one.
FLIP = """
import sys
with open(sys.argv[1], "r+b") as file:
    place = file.seek(int(sys.argv[2]), 0 if int(sys.argv[2]) > 0 else 2)
    byte = file.read(1)[0]
    file.seek(place)
    file.write(bytes([byte ^ 255]))
"""
SESSIONS = """
import psycopg2, time
held = [psycopg2.connect(dbname="postgres") for _number in range(170)]
time.sleep(3600)
"""
#: Two sessions that take two rows, each in the other's order: PostgreSQL ends one of them.
DEADLOCKS = """
take() { echo "UPDATE fired_rows SET n = n WHERE id = $1"; }
for number in $(seq 8); do
  psql -Xq -d resilience -c "BEGIN; $(take 1); SELECT pg_sleep(0.3); $(take 2); COMMIT" &
  psql -Xq -d resilience -c "BEGIN; $(take 2); SELECT pg_sleep(0.3); $(take 1); COMMIT" &
  wait
done
"""
#: More than the archive may be behind.
SEGMENTS = """
DO $$ BEGIN FOR number IN 1..70 LOOP
  PERFORM pg_logical_emit_message(false, 'fired', 'x'); PERFORM pg_switch_wal();
END LOOP; END $$
"""
#: More clients of the gateway than its pool has connections, each with a long statement.
CLIENTS = """
import json, psycopg2, threading
known = json.load(open("/etc/fraiseql-resilience/observer.json"))
gate = known["gateway"]
words = {"host": gate["host"], "port": gate["port"], "dbname": gate["database"], "user": known["probe_user"],
         "passfile": known["pgpass"], "sslmode": gate["sslmode"], "sslrootcert": known["ca"]}
for number in range(40):
    threading.Thread(target=lambda: psycopg2.connect(**words).cursor().execute("SELECT pg_sleep(600)")).start()
"""
#: A session that sleeps does not notice that its client has gone.
ASLEEP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND pid <> pg_backend_pid()"
TABLES = """
DROP TABLE IF EXISTS fired, fired_rows, fired_pages;
CREATE TABLE fired (id int); CREATE TABLE fired_rows (id int, n int); INSERT INTO fired_rows VALUES (1, 1), (2, 1);
CREATE TABLE fired_pages AS SELECT n FROM generate_series(1, 5000) AS n
"""
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name LIKE 'pg-%'"


def prepare(on: Stage) -> None:
    on.lab.sql(on.primary, TABLES, "resilience")


def demand_well(on: Stage) -> None:
    """:raises AssertionError: a wave left something behind."""
    assert eventually(lambda: on.lab.value(on.primary, STREAMING) == "2", seconds=180), "the standbys do not come back"
    on.lab.sql(on.primary, "SELECT txid_current()")


def cut_off(on: Stage) -> None:
    on.said("far", "; ".join(f"ip route add blackhole {address}" for address in on.others("far")))


def join(on: Stage) -> None:
    on.said("far", "; ".join(f"ip route del blackhole {address}" for address in on.others("far")))


def limit_memory(on: Stage, most: str) -> None:
    """From outside: systemd within a container may not limit anything."""
    subprocess.run(on.lab.podman("repo-a", "update", f"--memory={most}"), check=True, capture_output=True, timeout=30)


def need_too_much_memory(on: Stage) -> None:
    limit_memory(on, "600m")
    # SSH itself would end with an error where the command ends by a signal.
    assert on.said("repo-a", "python3 -c 'x = bytearray(2 * 10**9)'; echo $?").endswith("137"), "nobody was killed"


def server(on: Stage) -> str:
    """The unit of PostgreSQL, which has the same name on each member."""
    return on.said("primary", "systemctl list-units --plain --no-legend 'postgresql@*'").split()[0]


def spoil_page(on: Stage) -> None:
    """A page that the near standby has stored becomes another one while it is down; then somebody reads it there."""
    path = on.lab.value(on.primary, "SELECT pg_relation_filepath('fired_pages')", "resilience")
    for name in (on.primary, on.near):
        on.lab.sql(name, "CHECKPOINT")
    spoil = f"python3 -c {shlex.quote(FLIP)} /var/lib/postgresql/*/*/{path} 100"
    on.said("near", f"systemctl stop {server(on)} && {spoil} && systemctl start {server(on)}")
    read = "cd / && runuser -u postgres -- psql -XAtq -d resilience -c 'SELECT count(*) FROM fired_pages'"
    assert eventually(lambda: "invalid page" in on.lab.on(on.near).run(read).stderr, seconds=30)


NEWEST = "ls -S $(find /var/lib/pgbackrest/backup/lab/latest/ -type f ! -name '*.manifest*') | head -1"
BACKUP = "systemctl start resilience-backup@2-full.service"
VERIFY = "systemctl start resilience-verify@standard-1.service"


def spoil_backup(on: Stage) -> None:
    spoil = f"python3 -c {shlex.quote(FLIP)} $f -9"
    on.said("repo-a", f"f=$({NEWEST}) && echo $f > /root/fired && cp -p $f /root/fired.file && {spoil}")
    on.lab.on("repo-a").run(VERIFY)


# --- the waves --------------------------------------------------------------------------------------------------------

OBSERVER_EXPORTER = "prometheus-postgres-exporter.service"
ALERTS = "/etc/prometheus/resilience-alerts.yml"
AGENT = "resilience-health.socket resilience-health.service"
PROBE = "resilience_probe"

SLOW = (
    Fault(
        "a table is locked, and somebody waits for it",
        ("SessionsBlocked",),
        all_of(
            lasting("primary", "lock", *psql("BEGIN", "LOCK TABLE fired", "SELECT pg_sleep(3600)")),
            lasting("primary", "waiting", *psql("SELECT pg_sleep(2)", "SELECT * FROM fired")),
        ),
        all_of(ended("primary", "lock", "waiting"), sql(ASLEEP)),
    ),
    Fault("eight deadlocks", ("DeadlocksRise",), lasting("primary", "deadlocks", "bash", "-c", DEADLOCKS)),
    Fault(
        "most connection slots are taken",
        ("SessionsNearlyUsed",),
        lasting("primary", "sessions", "python3", "-c", SESSIONS),
        ended("primary", "sessions"),
    ),
    Fault(
        "the archive takes nothing",
        ("ArchivingFails", "ArchiveBacklog", "ArchiveBehindObjective"),
        all_of(
            sql("ALTER SYSTEM SET archive_command = 'false'", "SELECT pg_reload_conf()"),
            sql(SEGMENTS),
        ),
        sql("ALTER SYSTEM RESET archive_command", "SELECT pg_reload_conf()"),
    ),
    Fault(
        "nobody uses a slot",
        ("SlotUnused",),
        sql("SELECT pg_create_physical_replication_slot('fired', true)"),
        sql("SELECT pg_drop_replication_slot('fired')"),
    ),
    Fault(
        "replay is paused on a standby",
        ("ReplayPaused",),
        sql("SELECT pg_wal_replay_pause()", member="far"),
        sql("SELECT pg_wal_replay_resume()", member="far"),
    ),
    Fault(
        "a unit of ours fails",
        ("UnitFailed",),
        attempt("repo-a", "systemd-run --unit=resilience-fired false"),
        run("repo-a", "systemctl reset-failed resilience-fired.service"),
    ),
    Fault(
        "a process is killed for want of memory",
        ("OutOfMemory",),
        need_too_much_memory,
        lambda on: limit_memory(on, "64g"),
    ),
    Fault(
        "nobody looks at the backups any more",
        ("BackupMetricsOld",),
        run("repo-a", "systemctl stop resilience-backup-metrics.timer resilience-backup-metrics.service"),
        run("repo-a", "systemctl start resilience-backup-metrics.timer"),
    ),
    Fault(
        "Prometheus is given rules that it cannot read",
        ("ConfigurationRefused",),
        attempt("observer", f"echo '}}' >> {ALERTS}; systemctl reload prometheus"),
        run("observer", f"sed -i '$ d' {ALERTS} && systemctl reload prometheus"),
    ),
    Fault(
        "an exporter is gone",
        ("TargetDown",),
        run("near", f"systemctl stop {OBSERVER_EXPORTER}"),
        run("near", f"systemctl start {OBSERVER_EXPORTER}"),
    ),
    Fault(
        "a host says nothing of itself",
        ("HostDown",),
        run("store-b", "systemctl stop prometheus-node-exporter"),
        run("store-b", "systemctl start prometheus-node-exporter"),
    ),
)
STANDBYS = (
    Fault(
        "one standby is down",
        ("PostgresDown", "MemberNotReady"),
        lambda on: on.said("near", f"systemctl stop {server(on)}"),
        lambda on: on.said("near", f"systemctl start {server(on)}"),
    ),
    Fault("the other one is cut off", ("StandbyCutOff", "NoStandbyLeft"), cut_off, join),
    Fault(
        "and nobody receives WAL who could confirm a commit",
        ("NoConfirmer", "CommitsHang"),
        run("repo-a", "systemctl stop resilience-receivewal"),
        run("repo-a", "systemctl start resilience-receivewal"),
    ),
)
DATA = (
    Fault(
        "a page is another one than was written", ("ChecksumFailures", "ServerBeganAnew"), spoil_page,
        sql("DROP TABLE fired_pages"),
    ),
    Fault(
        "the object store is gone when a backup is due",
        ("BackupDidNotPass",),
        all_of(run("store-b", "systemctl stop seaweedfs"), attempt("repo-a", BACKUP)),
        run("store-b", "systemctl start seaweedfs"),
    ),
    Fault(
        "a backup is spoilt",
        ("VerificationFailed",),
        spoil_backup,
        attempt("repo-a", f"cp -p /root/fired.file $(cat /root/fired) && {VERIFY}"),
    ),
)  # fmt: skip
WAVES: tuple[tuple[Fault, ...], ...] = (
    SLOW,
    STANDBYS,
    DATA,
    (
        Fault(
            "the application's role may not log in",
            ("TransactionsFail", "BudgetBurnsFast"),
            sql(f"ALTER ROLE {PROBE} NOLOGIN",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{PROBE}'"),
            sql(f"ALTER ROLE {PROBE} LOGIN"),
        ),
    ),
    (
        Fault(
            "clients wait for the pool",
            ("PoolWaits",),
            lasting("observer", "clients", "python3", "-c", CLIENTS, user="root"),
            all_of(ended("observer", "clients"), sql(ASLEEP)),
        ),
    ),
    (
        Fault(
            "the gateway takes nobody",
            ("GatewayDown",),
            run("observer", "systemctl stop pgbouncer"),
            run("observer", "systemctl start pgbouncer"),
        ),
    ),
    (
        Fault(
            "no member says that it is the primary",
            ("NoPrimary",),
            lambda on: [on.said(name, f"systemctl stop {AGENT}") for name in on.lab.members],
            lambda on: [on.said(name, f"systemctl start {AGENT}") for name in on.lab.members],
        ),
    ),
    (
        Fault(
            "nobody measures the service any more",
            ("ServiceUnmeasured",),
            run("observer", f"systemctl stop {OBSERVER_EXPORTER}"),
            run("observer", f"systemctl start {OBSERVER_EXPORTER}"),
        ),
    ),
    (Fault("a standby is promoted beside its primary", ("TwoPrimaries",), sql("SELECT pg_promote()", member="far")),),
)  # fmt: skip

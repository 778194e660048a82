# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round of each measurement: what it did, as samples by the id of a figure.

Ours are the playbooks as an operator runs them, and the figures are those of their reports or of a second writer.
A round whose verdict is not `passed` is no sample: it ends the run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import yaml
from lab_hosts import Lab, eventually
from witness import Witness

TOP = Path(__file__).resolve().parents[2]
CONFIRMED = ("-e", "resilience_cluster=lab", "-e", "resilience_confirm=lab")
ASYNC = ("-e", "resilience_protection=async")
PATRONI = ("-e", "resilience_ha_engine=patroni")
#: What a lab's record calls what the playbooks ask for.
IDENTITY = {
    "name": "lab_name", "subnet": "lab_subnet", "release": "lab_debian_release", "monitoring": "lab_monitoring",
}  # fmt: skip
NANO = 1_000_000_000
#: Seconds that a playbook may take.
PLAY_SECONDS = 900
#: Rows of 1 KB that do not compress, in a table of their own: 1 GB with its overhead.
BALLAST_ROWS = 950_000
BALLAST_TABLE = "CREATE TABLE IF NOT EXISTS resilience.ballast (id bigint, content text)"
BALLAST = """
INSERT INTO resilience.ballast
SELECT row, (SELECT string_agg(sha512((row * 100 + part)::text::bytea)::text, '') FROM generate_series(1, 8) AS part)
FROM generate_series({first}, {last}) AS row
"""
#: Bytes of WAL that a standby is behind. Slots hold back a few GB at most, and a gigabyte is written at a time.
BEHIND = (
    "SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)), 0) < 64 * 2^20 FROM pg_stat_replication"
)
BEHIND_SECONDS = 300
MISTAKE = "CREATE TABLE IF NOT EXISTS resilience.mistake (); DROP TABLE resilience.mistake"
#: Restores beside the cluster, starts, and says how long it took until a commit; nothing of the collection's is in it.
RAW_RESTORE = Path(__file__).with_name("raw_restore.sh")

Samples = dict[str, float]


class RoundFailed(Exception):
    """A round did not end as it has to; its log says why."""


class RoundUndecided(RoundFailed):
    """The judge said `unknown`, as where the probe itself stood still: the round is no sample."""


@dataclass
class Bench:
    """The lab that is measured, and where the runs leave their logs and evidence."""

    lab: Lab
    folder: Path
    runs: int = 0

    def argv(self, name: str) -> list[str]:
        """The command of a playbook: one of the collection by its name, another one by its file."""
        return [
            str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.lab.directory / "inventory.yml"),
            name if name.endswith(".yml") else f"fraiseql.resilience.{name}",
            *CONFIRMED, "-e", f"resilience_evidence_directory={self.folder / 'evidence'}",
            "-e", json.dumps(self.identity()),
        ]  # fmt: skip

    def identity(self) -> dict[str, t.Any]:
        """Which lab it is, as playbooks that make and break hosts ask for it; before it is made, its place alone."""
        record = self.lab.directory / "lab.yml"
        told = yaml.safe_load(record.read_text(encoding="utf-8")) if record.exists() else {}
        return {"lab_directory": str(self.lab.directory), **{IDENTITY[word]: value for word, value in told.items()}}

    def play(self, name: str, *options: str, scenario: str = "", may_fail: bool = False) -> tuple[str, float]:
        """Run a playbook; what it printed, and the moment (CLOCK_MONOTONIC) at which it was started."""
        self.runs += 1
        argv = [*self.argv(name), *options]
        if scenario:
            argv += ["-e", f"resilience_scenario={scenario}"]
        log = self.folder / f"{self.runs:03}-{scenario or Path(name).stem}.log"
        begin = time.monotonic()
        with log.open("w", encoding="utf-8") as stream:
            environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(TOP / "ansible.cfg")}
            ended = subprocess.run(
                argv, stdout=stream, stderr=subprocess.STDOUT, timeout=PLAY_SECONDS, env=environment, check=False
            )
        if ended.returncode and not may_fail:
            undecided = self.newest_report().get("verdict") == "unknown"
            kind = RoundUndecided if undecided else RoundFailed
            raise kind(f"{scenario or name} ended with exit code {ended.returncode}; see {log}")
        return log.read_text(encoding="utf-8"), begin

    def newest_report(self, scenario: str = "") -> dict[str, t.Any]:
        """Of a drill, if one is named; what came after it in the same run has evidence of its own."""
        paths = sorted((self.folder / "evidence").glob("*/report.json"), key=lambda path: path.stat().st_mtime)
        reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        found = [report for report in reports if not scenario or report["scenario"] == scenario]
        return found[-1] if found else {}

    def report(self, scenario: str = "") -> tuple[dict[str, t.Any], list[dict[str, t.Any]]]:
        """The newest evidence: its report, and the attempts in its ledger."""
        report = self.newest_report(scenario)
        if report.get("verdict") != "passed":
            raise RoundFailed(f"the newest evidence says {report.get('verdict')}")
        ledger = self.folder / "evidence" / report["evidence"]["folder"] / "ledger.jsonl"
        lines = map(json.loads, ledger.read_text(encoding="utf-8").splitlines())
        return report, [line for line in lines if "outcome" in line]

    def drill(self, scenario: str, *options: str) -> tuple[dict[str, t.Any], list[dict[str, t.Any]]]:
        self.play("drill", *options, scenario=scenario)
        report, attempts = self.report(scenario)
        # It may have proven what was promised; as a sample, it would measure this machine.
        stood_still = [check["reason"] for check in report["checks"] if "stood still" in check["reason"]]
        if stood_still:
            raise RoundUndecided("; ".join(stood_still))
        return report, attempts

    def lose_host(self, name: str) -> None:
        """A host of the lab is killed, and its disks are gone."""
        self.lab_task("host_lost.yml", lab_lost_host=name)

    def lab_task(self, tasks: str, **variables: str) -> None:
        """Tasks of role lab, on this machine."""
        given = {**variables, **self.identity()}
        argv = [
            str(Path(sys.executable).parent / "ansible"), "localhost", "-m", "ansible.builtin.include_role",
            "-a", f"name=fraiseql.resilience.lab tasks_from={tasks}", "-e", json.dumps(given),
        ]  # fmt: skip
        subprocess.run(argv, check=True, capture_output=True, timeout=60)

    def gateway(self) -> str:
        """libpq's words for an application on the observer."""
        known = json.loads(self.lab.said("observer", "cat /etc/fraiseql-resilience/observer.json"))
        gateway = known["gateway"]
        return (
            f"host={gateway['host']} port={gateway['port']} dbname={gateway['database']} user={known['probe_user']}"
            f" passfile={known['pgpass']} sslmode={gateway['sslmode']} sslrootcert={known['ca']}"
        )


# --- ours -------------------------------------------------------------------------------------------------------------


def second_site(bench: Bench) -> Samples:
    said, begin = bench.play("site")
    seconds = time.monotonic() - begin
    recap = said[said.rindex("PLAY RECAP") :]
    changed = sum(int(count) for count in re.findall(r"changed=(\d+)", recap))
    return {"site_second_run_seconds": seconds, "site_second_run_changed": changed}


def switchover(bench: Bench) -> Samples:
    report, attempts = bench.drill("planned_switchover")
    return {
        "switchover_failed_transactions": sum(attempt["outcome"] != "acked" for attempt in attempts),
        "switchover_stall_seconds": report["details"]["longest_stall_seconds"],
    }


def host_lost(bench: Bench) -> Samples:
    with Witness(bench.lab, bench.gateway()) as witness:
        report, _attempts = bench.drill("primary_host_lost")
    return {
        "host_lost_outage_seconds": report["rto_seconds"],
        "host_lost_rows": report["rpo"]["transactions"],
        "rto_error_seconds": abs(report["rto_seconds"] - witness.longest_gap()),
    }


def region_lost(bench: Bench) -> Samples:
    """The drill ends with the primary at home again."""
    report, _attempts = bench.drill("region_lost")
    return {"region_lost_outage_seconds": report["rto_seconds"]}


def partition(bench: Bench) -> Samples:
    report, _attempts = bench.drill("primary_unresponsive")
    return {"partition_sync_rows": report["rpo"]["transactions"], "partition_outage_seconds": report["rto_seconds"]}


def unprotect(bench: Bench) -> None:
    bench.play("site", *ASYNC)


def protect(bench: Bench) -> None:
    bench.play("site")


def partition_async(bench: Bench) -> Samples:
    """The other members and the receiver fall behind first, so that there is something to lose, and to list."""
    loses = ("-e", "resilience_drill_behind_seconds=2")
    report, attempts = bench.drill("primary_unresponsive", *ASYNC, *loses)
    lost, acked = report["rpo"]["transactions"], {key(one) for one in attempts if one["outcome"].startswith("acked")}
    listed = bench.folder / "evidence" / report["evidence"]["folder"] / "lost_rows.jsonl"
    named = {key(json.loads(line)) for line in listed.read_text(encoding="utf-8").splitlines()} if lost else set()
    # Whatever is named has to be a row that was acknowledged, else a list of anything would do.
    return {"partition_async_rows": lost, "partition_async_unlisted_rows": lost - len(named & acked)}


def key(attempt: t.Mapping[str, t.Any]) -> tuple[int, int]:
    return attempt["client"], attempt["seq"]


def set_up_patroni_engine(bench: Bench) -> None:
    """A lab goes from manual to patroni and not back, so this one is new, and removed afterwards."""
    bench.play("lab_down")
    bench.play("lab_up")
    bench.play("site", *PATRONI)


def remove(bench: Bench) -> None:
    bench.play("lab_down")


def patroni_engine_host_lost(bench: Bench) -> Samples:
    """Patroni takes over by itself; gateway, probe and judge are those of our own failover."""
    report, _attempts = bench.drill("primary_host_lost", *PATRONI)
    return {
        "patroni_host_lost_outage_seconds": report["rto_seconds"],
        "patroni_host_lost_rows": report["rpo"]["transactions"],
    }


def controls(bench: Bench) -> Samples:
    bench.play("controls")
    found = bench.newest_report("")["checks"]
    return {"controls_caught": sum(check["verdict"] == "passed" for check in found)}


def status(bench: Bench) -> Samples:
    """Whether it can be recovered is for others to say: a lab whose disasters were not all drilled is unknown."""
    begin = time.monotonic()
    bench.play("status", may_fail=True)
    return {"status_seconds": time.monotonic() - begin}


def members_lost(bench: Bench) -> Samples:
    report, _attempts = bench.drill("members_lost")
    return {
        "backups_alone_rows": report["rpo"]["transactions"],
        "backups_alone_outage_seconds": report["rto_seconds"],
    }


def sized(gigabytes: int) -> t.Callable[[Bench], None]:
    """Give the cluster so many GB, and a backup that holds them in each repository."""

    def make(bench: Bench) -> None:
        lab = bench.lab
        lab.sql(lab.primary, BALLAST_TABLE, "resilience")
        there = int(lab.value(lab.primary, "SELECT count(*) FROM resilience.ballast", "resilience")) // BALLAST_ROWS
        if there > gigabytes:
            lab.sql(lab.primary, "TRUNCATE resilience.ballast", "resilience")
            there = 0
        for number in range(there, gigabytes):
            rows = BALLAST.format(first=number * BALLAST_ROWS + 1, last=(number + 1) * BALLAST_ROWS)
            lab.sql(lab.primary, rows, "resilience")
            eventually(lambda: lab.value(lab.primary, BEHIND) == "t", seconds=BEHIND_SECONDS)
        # What is frozen has the same bytes on every member, so that standbys need not copy it again.
        lab.sql(lab.primary, "VACUUM (FREEZE) resilience.ballast", "resilience")
        lab.sql(lab.primary, "CHECKPOINT")
        for repo in (1, 2):
            lab.said("repo-a", "runuser -u postgres -- pgbackrest --stanza=lab --type=full --repo=%s backup", str(repo))

    return make


def restore(bench: Bench) -> Samples:
    return {"pitr_1gb_seconds": restored(bench, 1)}


def restore_from_store(bench: Bench) -> Samples:
    return {"repo2_restore_1gb_seconds": restored(bench, 2)}


def restore_5gb_from_store(bench: Bench) -> Samples:
    return {"repo2_restore_5gb_seconds": restored(bench, 2)}


def restore_5gb_in_place(bench: Bench) -> Samples:
    return {"repo2_restore_5gb_in_place_seconds": restored(bench, 2, keep=False)}


def restore_5gb_fetched(bench: Bench) -> Samples:
    return {"repo2_restore_5gb_fetched_seconds": restored(bench, 2, reuse=False)}


def restored(bench: Bench, repo: int, *, keep: bool = True, reuse: bool = True) -> float:
    """To the moment before a row, as an operator who knows the LSN; the playbook's own probe is the client."""
    lab = bench.lab
    # What the round before wrote is on disk, so that this one does not wait for it.
    os.sync()
    target = lab.value(lab.primary, "SELECT pg_current_wal_lsn()")
    lab.sql(
        lab.primary, "CREATE TABLE IF NOT EXISTS resilience.mistake (); DROP TABLE resilience.mistake", "resilience"
    )
    wanted = {
        "resilience_restore_type": "lsn",
        "resilience_restore_target": target,
        "resilience_restore_exclusive": True,
        "resilience_restore_repo": repo,
        "resilience_restore_keep": keep,
        "resilience_restore_reuse": reuse,
    }
    _said, begin = bench.play("restore", "-e", json.dumps(wanted))
    report, _attempts = bench.report()
    bench.play("restore_commit")
    return float(report["details"]["outage"]["t7_ns"] / NANO - begin)


# --- what they are compared with --------------------------------------------------------------------------------------


def raw_restore(bench: Bench) -> Samples:
    return {"pitr_1gb_seconds": raw_restored(bench, 1)}


def raw_restore_from_store(bench: Bench) -> Samples:
    return {"repo2_restore_1gb_seconds": raw_restored(bench, 2)}


def raw_restore_5gb_from_store(bench: Bench) -> Samples:
    return {"repo2_restore_5gb_seconds": raw_restored(bench, 2)}


def restore_5gb_reused(bench: Bench) -> Samples:
    """Ours as it is, beside that which copies nothing of what is kept."""
    return {"repo2_restore_5gb_fetched_seconds": restored(bench, 2)}


def raw_restore_5gb_in_place(bench: Bench) -> Samples:
    return {"repo2_restore_5gb_in_place_seconds": raw_restored(bench, 2)}


def raw_restored(bench: Bench, repo: int) -> float:
    """By hand, beside the running cluster: pgbackrest restore, pg_ctl start, and the first commit.

    On a standby's host: on the primary's it empties the spool of asynchronous archiving, which then waits a minute.
    """
    lab = bench.lab
    # What the round before wrote is on disk, so that this one does not wait for it.
    os.sync()
    target = lab.value(lab.primary, "SELECT pg_current_wal_lsn()")
    lab.sql(
        lab.primary, "CREATE TABLE IF NOT EXISTS resilience.mistake (); DROP TABLE resilience.mistake", "resilience"
    )
    lab.said(lab.primary, "runuser -u postgres -- pgbackrest --stanza=lab check")
    script = RAW_RESTORE.read_text(encoding="utf-8")
    said = lab.said(
        lab.standbys[0], "cd / && runuser -u postgres -- bash -c %s raw_restore %s %s", script, target, str(repo)
    )
    return float(said.splitlines()[-1])

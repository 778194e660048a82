# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verification at level standard, beside a restore by hand with the same checks by hand (raw_verify.sh).

On this machine, with a throw-away cluster of its own and no lab: what is compared is work on one host, which restores
from a repository that it can reach, and a lab's other hosts would only take turns on the same processors. The cluster
is stopped meanwhile, since a host that verifies runs no member.

Ours is module backup_verify in a process of its own, from its start to its end, imports and the removal of the copy
included. Both restore to the same LSN from the same repository with the same process-max, without fsync, and count and
hash the same tables. What ours does beside (the chain of WAL, the archive's histories, the configuration) is its cost;
that it reads rows while pg_amcheck runs, its gain.

    .venv/bin/python tests/bench/verify_standard.py 1 5        one round of 1 GiB, five rounds; as root
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import forecast_error
from restore_samples import PORT, SERVING, STANZA, Host, archived

TOP = Path(__file__).resolve().parents[2]
FOLDER = Path("/var/tmp/resilience-verify-bench")
#: Programs that the user postgres runs, who may have no way into a checkout.
PROGRAMS = (
    Path(__file__).with_name("raw_verify.sh"),
    Path(__file__).with_name("raw_content.sql"),
    TOP / "roles/pgbackrest/files/restore_wal.py",
)
#: MiB of WAL between the backup and the manifest.
WAL = 64
#: Seconds that one verification may take.
TIMEOUT = 1800.0
OWNER = "postgres"
BECOME = ("runuser", "-u", OWNER, "--")

Samples = dict[str, float]


class Own(Host):
    """The throw-away cluster, asked by root; its programs run as its owner."""

    def run(self, *argv: str) -> str:
        return super().run(*BECOME, *argv)


def sized(gibibytes: int) -> t.Callable[[t.Any], None]:
    """A repository with a full backup of so much, WAL, and a manifest at the end of it; its cluster is stopped."""

    def make(_bench: t.Any = None) -> None:
        remove()
        forecast_error.on_this_machine(str(FOLDER))("make", json.dumps([[gibibytes, WAL]]))
        host = Own(FOLDER)
        host.start(FOLDER / "pg", SERVING)
        describe(host)
        note_content(host)
        answer = in_a_process("--manifest")
        archived(host)
        host.stop(FOLDER / "pg")
        (FOLDER / "target").write_text(answer["lsn"], encoding="ascii")

    return make


def describe(host: Host) -> None:
    """What a member says of itself; its configuration lies outside of its data, as on Debian."""
    for program in PROGRAMS:
        shutil.copy(program, FOLDER)
    etc = FOLDER / "etc"
    etc.mkdir()
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        shutil.copy(FOLDER / "pg" / name, etc)
    member = {
        "name": "one", "stanza": STANZA, "bin_dir": str(host.bin), "data_dir": str(FOLDER / "pg"),
        "config_dir": str(etc), "socket_dir": str(FOLDER), "port": int(PORT), "os_user": OWNER,
    }  # fmt: skip
    (FOLDER / "member.json").write_text(json.dumps(member), encoding="utf-8")


def note_content(host: Host) -> None:
    """What the tables hold, noted by hand."""
    psql = [str(host.bin / "psql"), "-XAtq", "-h", str(FOLDER), "-p", PORT, "-f", f"{FOLDER}/raw_content.sql", "-d"]
    noted = "".join(f"{host.run(*psql, database)}\n" for database in ("postgres", "template1"))
    (FOLDER / "expected").write_text(noted, encoding="utf-8")


def remove(_bench: t.Any = None) -> None:
    if FOLDER.exists():
        forecast_error.on_this_machine(str(FOLDER))("remove")
        shutil.rmtree(FOLDER, ignore_errors=True)


def ours(gibibytes: int) -> t.Callable[[t.Any], Samples]:
    """One round of the product's."""

    def take(_bench: t.Any = None) -> Samples:
        os.sync()
        begin = time.monotonic()
        answer = in_a_process("--verify")
        seconds = time.monotonic() - begin
        demand_passed(answer, (FOLDER / "target").read_text(encoding="ascii"))
        told(answer["seconds"])
        return {figure(gibibytes): seconds}

    return take


def by_hand(gibibytes: int) -> t.Callable[[t.Any], Samples]:
    """One round of the same by hand."""

    def take(_bench: t.Any = None) -> Samples:
        os.sync()
        target = (FOLDER / "target").read_text(encoding="ascii")
        argv = [*BECOME, f"{FOLDER}/raw_verify.sh", str(FOLDER), target]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT, cwd="/", check=False)
        if done.returncode:
            raise AssertionError(f"the verification by hand ended with {done.returncode}: {done.stderr[-1500:]}")
        parts = dict(zip(("restore", "replay", "checks", "total"), map(float, done.stdout.split()), strict=True))
        told(parts)
        return {figure(gibibytes): parts["total"]}

    return take


def figure(gibibytes: int) -> str:
    return {1: "verify_standard_1gb_seconds", 5: "verify_standard_5gb_seconds"}[gibibytes]


def demand_passed(answer: t.Mapping[str, t.Any], target: str) -> None:
    """A verification that did not pass, or of something else, is no sample."""
    bad = [check for check in answer["checks"] if check["verdict"] != "passed"]
    if answer["verdict"] != "passed" or bad or answer["target"] != {"type": "lsn", "value": target}:
        raise AssertionError(f"a good backup was judged otherwise: {answer['verdict']}, {answer['target']}, {bad}")


def told(seconds: t.Mapping[str, float]) -> None:
    forecast_error.say("    " + ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items()))


def in_a_process(verb: str) -> dict[str, t.Any]:
    """What a module answers that runs as a process of its own, as Ansible has it."""
    argv = [sys.executable, str(Path(__file__).resolve()), verb]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        raise AssertionError(f"{verb} ended with {done.returncode}: {done.stderr[-1500:]}")
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def take_manifest() -> dict[str, t.Any]:
    from ansible_collections.fraiseql.resilience.plugins.module_utils import command
    from ansible_collections.fraiseql.resilience.plugins.modules import content_manifest

    os.environ["PGBACKREST_CONFIG"] = str(FOLDER / "pgbackrest.conf")
    params = defaults(content_manifest) | {"descriptor": str(FOLDER / "member.json")}
    return t.cast("dict[str, t.Any]", content_manifest.act(params, check_mode=False, run=command.run))


def verify() -> dict[str, t.Any]:
    from ansible_collections.fraiseql.resilience.plugins.module_utils import command
    from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import scratch
    from ansible_collections.fraiseql.resilience.plugins.modules import backup_verify

    scratch.STATE = FOLDER / "state"
    params = defaults(backup_verify) | {
        "stanza": STANZA, "directory": str(FOLDER / "scratch"), "configuration": str(FOLDER / "pgbackrest.conf"),
        "restore_command": f"{FOLDER}/restore_wal.py", "bin_dir": str(Host(FOLDER).bin),
    }  # fmt: skip
    return backup_verify.act(params, check_mode=False, run=command.run)


def defaults(module: t.Any) -> dict[str, t.Any]:
    return {name: option.get("default") for name, option in module.argument_spec().items()}


def here(gibibytes: int, count: int) -> None:
    with contextlib.ExitStack() as stack:
        stack.callback(remove)
        sized(gibibytes)()
        for _round in range(count):
            for whose, take in (("ours", ours(gibibytes)), ("by hand", by_hand(gibibytes))):
                forecast_error.say(f"{whose}: {take(None)}")


if __name__ == "__main__":
    if sys.argv[1] in ("--verify", "--manifest"):
        print(json.dumps(verify() if sys.argv[1] == "--verify" else take_manifest()))
    else:
        here(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)

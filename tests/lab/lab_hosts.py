# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running lab, seen from outside: over SSH, by SQL and over HTTP; nothing of the collection's own code is used."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import signal
import subprocess
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import testinfra
import yaml
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

T = t.TypeVar("T")

#: Runs on a host that has the client's credentials; connection words and statement come as JSON, rows go back as JSON.
CLIENT = """
import json, psycopg2, sys
asked = json.loads(sys.argv[1])
connection = psycopg2.connect(connect_timeout=5, **asked["words"])
connection.autocommit = True
cursor = connection.cursor()
cursor.execute(asked["statement"])
print(json.dumps([list(map(str, row)) for row in cursor.fetchall()] if cursor.description else []))
"""


TOP = Path(__file__).resolve().parents[2]
#: Seconds that a playbook of these tests may take; most of them do not get as far as the work.
PLAYBOOK_SECONDS = 120
#: Seconds after which a frozen host goes on, whatever became of the test.
FROZEN_SECONDS = 60


class Answer(t.NamedTuple):
    """What a client heard: rows, or the error's text."""

    rows: list[list[str]]
    error: str


class Played(t.NamedTuple):
    """What a playbook ended with: its exit code and all that it printed, each run of white space as one space."""

    rc: int
    said: str


class Standing(t.NamedTuple):
    """What a member is. A restart, a promotion or a restore changes it."""

    in_recovery: str
    system_id: str
    started: str
    timeline: str


@dataclass(frozen=True)
class Lab:
    """The hosts of one lab and the questions that tests ask them."""

    directory: Path

    @functools.cached_property
    def runner(self) -> AnsibleRunner:
        return AnsibleRunner(str(self.directory / "inventory.yml"))

    def group(self, name: str) -> list[str]:
        return self.runner.get_hosts(name)

    def variable(self, host: str, name: str) -> t.Any:
        return self.runner.get_variables(host)[name]

    @functools.cached_property
    def secrets(self) -> dict[str, str]:
        loaded: dict[str, str] = yaml.safe_load((self.directory / "secrets.yml").read_text(encoding="utf-8"))
        return loaded

    def on(self, name: str) -> Host:
        """A host, reached as the inventory says; testinfra itself overlooks ``ansible_ssh_args``."""
        address, user, key, options = (
            self.variable(name, f"ansible_{word}") for word in ("host", "user", "ssh_private_key_file", "ssh_args")
        )
        return testinfra.get_host(f"ssh://{user}@{address}", ssh_identity_file=key, ssh_extra_args=options)

    def said(self, name: str, command: str, *arguments: str) -> str:
        """What a command that must succeed printed."""
        answer = self.on(name).run(command, *arguments)
        assert answer.rc == 0, f"{name}: {command} {arguments}: {answer.stderr or answer.stdout}"
        return answer.stdout.strip()

    def sql(self, member: str, statement: str, database: str = "postgres") -> list[list[str]]:
        """The rows of a statement, asked by the member's own superuser over its socket."""
        command = "cd / && runuser -u postgres -- psql -XAt -F '\t' -v ON_ERROR_STOP=1 -d %s -c %s"
        return [line.split("\t") for line in self.said(member, command, database, statement).splitlines()]

    def value(self, member: str, statement: str, database: str = "postgres") -> str:
        [[only]] = self.sql(member, statement, database)
        return only

    def client(self, statement: str, origin: str = "observer", **words: t.Any) -> Answer:
        """Ask as a client does, from ``origin`` over the network. ``words`` are libpq's connection words."""
        asked = json.dumps({"statement": statement, "words": words})
        answer = self.on(origin).run("python3 -c %s %s", CLIENT, asked)
        return Answer(json.loads(answer.stdout), "") if answer.rc == 0 else Answer([], answer.stderr)

    def play(
        self, playbook: str, evidence: Path, *options: str, seconds: float = PLAYBOOK_SECONDS, **variables: t.Any
    ) -> Played:
        """Run a playbook as an operator does, confirmed unless ``variables`` say otherwise; None takes one away."""
        known = {"cluster": "lab", "confirm": "lab", "evidence_directory": str(evidence)}
        extra = {f"resilience_{name}": value for name, value in {**known, **variables}.items() if value is not None}
        ended = subprocess.run(
            ["ansible-playbook", "-i", self.directory / "inventory.yml", f"fraiseql.resilience.{playbook}",
             "-e", json.dumps(extra), *options],
            capture_output=True, text=True, timeout=seconds, cwd=TOP, check=False,
            # Molecule forces colours, which would stand among the words.
            env={
                **os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0",
                "ANSIBLE_NOCOLOR": "1",
            },
        )  # fmt: skip
        return Played(ended.returncode, " ".join(f"{ended.stdout} {ended.stderr}".split()))

    def podman(self, name: str, verb: str, *options: str) -> list[str]:
        """The command that does something to a host's container, on this machine."""
        plug = self.variable(name, "resilience_fence_agent")["options"]["plug"]
        become = [] if os.geteuid() == 0 else ["sudo", "-n"]
        return [*become, "podman", verb, *options, plug.replace("{{ inventory_hostname }}", name)]

    @contextlib.contextmanager
    def frozen(self, name: str) -> t.Iterator[None]:
        """A host that answers nobody and loses nothing: its container is paused, for FROZEN_SECONDS at most."""
        pause, undo = (self.podman(name, verb) for verb in ("pause", "unpause"))
        late = subprocess.Popen(
            ["sh", "-c", f"sleep {FROZEN_SECONDS}; exec {shlex.join(undo)}"], start_new_session=True
        )
        try:
            subprocess.run(pause, check=True, capture_output=True, timeout=30)
            yield
        finally:
            subprocess.run(undo, check=False, capture_output=True, timeout=30)
            os.killpg(late.pid, signal.SIGTERM)
            late.wait()

    def standings(self) -> dict[str, Standing]:
        """Each member's standing; what an operation that was planned or refused leaves as it was."""
        asked = """SELECT pg_is_in_recovery(), system_identifier, pg_postmaster_start_time(),
                          CASE WHEN pg_is_in_recovery()
                               THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), 0)
                               ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END
                   FROM pg_control_system()"""
        return {name: Standing(*self.sql(name, asked)[0]) for name in self.members}

    def untouched(self, before: dict[str, Standing]) -> bool:
        """All members are, or within a moment are again, what they were."""
        return bool(eventually(lambda: self.standings() == before, seconds=30))

    def at_work(self) -> list[str]:
        """Units that an operation starts and ends: what it armed on members, and clients that it lets write."""
        listed = "systemctl list-units --plain --no-legend --state=active 'resilience-probe@*' %s %s"
        armed = "resilience-promotion.service", "resilience-demotion.service"
        hosts = [*self.members, *self.group("observers")]
        return [f"{name}: {line}" for name in hosts for line in self.said(name, listed, *armed).splitlines()]

    @property
    def engine(self) -> str:
        """Who is in charge of PostgreSQL, as the observer knows it: ``manual`` or ``patroni``."""
        [observer] = self.group("observers")
        known = json.loads(self.said(observer, "cat /etc/fraiseql-resilience/observer.json"))
        return "manual" if known.get("patroni") is None else "patroni"

    @property
    def members(self) -> list[str]:
        return self.group("members")

    def primaries(self) -> list[str]:
        return [name for name in self.members if self.value(name, "SELECT pg_is_in_recovery()") == "f"]

    @property
    def primary(self) -> str:
        [only] = self.primaries()
        return only

    @property
    def standbys(self) -> list[str]:
        return [name for name in self.members if name != self.primary]


def eventually(look: t.Callable[[], T], *, seconds: float) -> T:
    """The first true answer of ``look``, or its last one when time is up."""
    end = time.monotonic() + seconds
    while not (answer := look()) and time.monotonic() < end:
        time.sleep(0.5)
    return answer

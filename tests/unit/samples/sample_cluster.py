# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster in which all is well until a test says otherwise, as the observer would find it.

What agents say is made by the agents' own code out of looks, and hazards by the judge of cluster_info.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.signs import of_agent
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.answers import Answers, Caller
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.settings import parse
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import topology
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Reading, Result
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.primaries import judge as leading
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, Look, Status
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.observation import Observation, observed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Member, Standing

KINDS: dict[str, list[str]] = {
    "pg-a1": ["member"],
    "pg-a2": ["member"],
    "pg-b1": ["member"],
    "observer": ["gateway", "observer"],
    "repo-a": ["repository"],
}
MEMBERS = [host for host, kinds in KINDS.items() if "member" in kinds]
NOW = 1000.0
SEEN_AT = "2026-11-27T09:00:00.000+00:00"

_EVERYWHERE: dict[str, t.Any] = {
    "memory": {"kind": "memory"},
    "certificate": {"kind": "certificates", "paths": ["/host.crt"]},
    "clock": {"kind": "clock", "peers": {"other": "http://other:8008"}},
}
_LOGIN = {"kind": "login", "user": "probe"}
#: As role health gives them to each kind of host.
CHECKS: dict[str, dict[str, t.Any]] = {
    "member": {
        **_EVERYWHERE,
        "login": _LOGIN,
        "heartbeat_seen": {"kind": "heartbeat_seen"},
        **{
            name: {"kind": name}
            for name in ("latency", "sessions", "replication", "slots", "archiving", "transaction_ids", "sequences",
                         "checksums", "configuration", "storage")
        },
        "filesystem": {"kind": "filesystem", "paths": ["/"]},
        "shared_memory": {"kind": "filesystem", "paths": ["/dev/shm"]},
        "store": {"kind": "tcp", "host": "store-b", "port": 8333},
    },
    "observer": {
        **_EVERYWHERE,
        "pgbouncer": {"kind": "pgbouncer"},
        "haproxy": {"kind": "tcp", "host": "127.0.0.1", "port": 5000},
        "login": {**_LOGIN, "needs": {"pgbouncer": "hard", "haproxy": "hard"}},
        "filesystem": {"kind": "filesystem", "paths": ["/"]},
        "heartbeat": {"kind": "heartbeat", "user": "probe"},
        "primaries": {"kind": "primaries", "members": {name: f"http://{name}:8008" for name in MEMBERS}},
    },
}  # fmt: skip

#: What a primary says of itself.
LEADS = Reading(
    in_recovery=False, timeline=3, current_lsn="0/5000000", receive_lsn=None, replay_lsn=None, streaming=False,
    lag_bytes=None, system_identifier="77", fenced=False,
)  # fmt: skip
_STREAMING = replace(
    LEADS, in_recovery=True, current_lsn=None, receive_lsn="0/5000000", replay_lsn="0/5000000", streaming=True,
    lag_bytes=0,
)  # fmt: skip
_PRIMARY = Member(
    "pg-a1", "a", Standing.PRIMARY, ssh_answers=True, version=17, system_id="77", timeline=3, written_lsn="0/5000000",
    synchronous_standby_names="ANY 1 (pg-a2, repo-a-receiver)", settings={"max_connections": "100"},
    senders=[{"name": name, "state": "streaming", "sync_state": "quorum" if name != "pg-b1" else "async"}
             for name in ("pg-a2", "pg-b1", "repo-a-receiver")],
    slots=[{"name": name, "active": True, "wal_status": "reserved"} for name in ("pg_a2", "pg_b1", "repo_a_receiver")],
    archiver={"failing": False, "last_failed": None},
)  # fmt: skip


def _standby(name: str, region: str) -> Member:
    return Member(
        name, region, Standing.STANDBY, ssh_answers=True, version=17, system_id="77", timeline=3,
        written_lsn="0/5000000", replayed_lsn="0/5000000", replay_paused=False, receiving_from="pg-a1",
        settings={"max_connections": "100"},
    )  # fmt: skip


class Lab:
    """pg-a1 leads pg-a2 and pg-b1; the gateway is the observer, and the receiver is on repo-a."""

    def __init__(self) -> None:
        self.members = {one.name: one for one in (_PRIMARY, _standby("pg-a2", "a"), _standby("pg-b1", "b"))}
        self.readings: dict[str, Reading | str] = dict.fromkeys(MEMBERS, _STREAMING) | {"pg-a1": LEADS}
        self.looks: dict[str, dict[str, list[Finding] | str]] = {host: {} for host in CHECKS_OF}
        self.gone: set[str] = set()
        self.silent: set[str] = set()
        self.power: dict[str, bool] = {}
        self.alerts: list[dict[str, str]] | None = None
        self.alerts_reason = ""
        self.cluster_reason = ""
        self.without_details: set[str] = set()

    # --- what may be wrong --------------------------------------------------------------------------------------------

    def finds(self, host: str, component: str, found: list[Finding] | Finding) -> Lab:
        """What a look at a component finds there."""
        self.looks[host][component] = found if isinstance(found, list) else [found]
        return self

    def fails(self, host: str, component: str, reason: str) -> Lab:
        return self.finds(host, component, Finding(Status.FAIL, reason, "seconds"))

    def warns(self, host: str, component: str, reason: str) -> Lab:
        return self.finds(host, component, Finding(Status.WARN, reason, "seconds"))

    def loses(self, host: str, *, power: bool | None = None) -> Lab:
        """The host gives no answer any more, whether or not it is on."""
        self.gone.add(host)
        self.silent.add(host)
        if power is not None:
            self.power[host] = power
        if host in self.members:
            self.stands(host, Standing.UNSEEN, "timeout expired")
        return self

    def stands(self, host: str, standing: Standing, reason: str) -> Lab:
        one = self.members[host]
        self.members[host] = Member(one.name, one.region, standing, reason=reason, ssh_answers=host not in self.silent)
        return self

    def stops(self, host: str, standing: Standing, reason: str, said: str) -> Lab:
        """PostgreSQL there does not answer, and its agent does. ``said``: what the agent says of it."""
        self.readings[host] = said
        self.fails(host, "login", f"probe gets no session: {reason}")
        return self.stands(host, standing, reason)

    def primary_lost(self) -> Lab:
        """What follows where nobody is primary, some ten seconds later."""
        self.without_commits()
        answers = {name: False for name in MEMBERS if name not in self.gone} | dict.fromkeys(self.gone & set(MEMBERS))
        self.finds("observer", "primaries", leading(answers))
        for name in MEMBERS:
            if self.members[name].standing is Standing.STANDBY:
                self.members[name] = self.members[name]._replace(receiving_from=None)
                self.readings[name] = replace(_STREAMING, streaming=False, lag_bytes=None)
                self.fails(name, "replication", "it receives no stream")
        return self

    def without_commits(self) -> Lab:
        self.fails("observer", "heartbeat", "no row is written: query_wait_timeout")
        for name in MEMBERS:
            self.warns(name, "heartbeat_seen", "since the heartbeat changed here: 9 s (warns at 5 s)")
        return self

    def standby_away(self, name: str) -> Lab:
        """What the primary and the observer see of a standby that is away."""
        primary = self.members["pg-a1"]
        self.members["pg-a1"] = primary._replace(
            senders=[one for one in primary.senders if one["name"] != name],
            slots=[{**one, "active": one["active"] and one["name"] != slot(name)} for one in primary.slots],
        )
        self.warns("pg-a1", "slots", f"nobody uses {slot(name)}: a member's or receiver's")
        if name in self.gone:
            self.finds(
                "observer",
                "primaries",
                leading({one: one == "pg-a1" if one not in self.gone else None for one in MEMBERS}),
            )
        return self

    def without_repository(self) -> Lab:
        self.silent.add("repo-a")
        return self

    def receiver_away(self) -> Lab:
        return self.standby_away("repo-a-receiver")

    def changed(self, name: str, **given: t.Any) -> Lab:
        """What cluster_info reads of a member is another thing."""
        self.members[name] = self.members[name]._replace(**given)
        return self

    def fires(self, name: str, severity: str = "sev2", instance: str = "") -> Lab:
        alert = {"name": name, "severity": severity, "instance": instance, "summary": f"{name} {instance}".strip()}
        self.alerts = [*(self.alerts or []), alert]
        return self

    # --- what is seen of it -------------------------------------------------------------------------------------------

    def healthz(self, host: str) -> dict[str, t.Any]:
        """What the agent there answers, by its own code."""
        is_member = host in MEMBERS
        settings = parse({
            "service": host,
            "member": {"descriptor": "/member.json", "fenced_marker": "/fenced"} if is_member else None,
            "checks": CHECKS_OF[host],
        })  # fmt: skip
        looks = {name: self._look(host, name) for name in CHECKS_OF[host]}
        answers = Answers(settings, lambda: self._result(host), looks.get, now=lambda: NOW)
        told: dict[str, t.Any] = json.loads(
            answers.respond("GET", "/healthz", "", Caller(details=host not in self.without_details)).body
        )
        return told

    def _look(self, host: str, name: str) -> Look:
        found = self.looks[host].get(name, [Finding(Status.PASS, "all is well", "seconds")])
        return Look(NOW - 0.1, SEEN_AT, tuple(found))

    def _result(self, host: str) -> Result | None:
        if host not in MEMBERS:
            return None
        reading = self.readings[host]
        if isinstance(reading, str) and reading == HANGS:
            last = LEADS if host == "pg-a1" else _STREAMING
            return Result(NOW - 10, SEEN_AT, last, None)
        if isinstance(reading, str):
            return Result(NOW - 0.05, SEEN_AT, None, reading)
        return Result(NOW - 0.05, SEEN_AT, reading, None)

    def seen(self) -> dict[str, t.Any]:
        """As collect/signs.py gathers it."""
        members = list(self.members.values())
        hazards = topology.hazards(members, {"repo_a_receiver": "repo-a-receiver"})
        cluster = {
            "members": [
                {"name": one.name, "standing": one.standing.value, "reason": one.reason,
                 "receiving_from": one.receiving_from} for one in members
            ],
            "hazards": [one.as_dict() for one in hazards],
            "engine": "manual",
        }  # fmt: skip
        return {
            "agents": {host: self._agent(host) for host in CHECKS_OF},
            "hosts": {
                host: {
                    "answered": host not in self.silent,
                    "reason": "SSH does not answer" if host in self.silent else "SSH answers",
                }
                for host in KINDS
            },
            "cluster": None if self.cluster_reason else cluster,
            "cluster_reason": self.cluster_reason,
            "alerts": self.alerts,
            "alerts_reason": self.alerts_reason,
        }

    def _agent(self, host: str) -> dict[str, t.Any]:
        if host in self.gone:
            return {"answered": False, "reason": "timed out", "components": None, "reading": None}
        return {"answered": True, "reason": "it answers", **of_agent(self.healthz(host))}

    def observed(self) -> Observation:
        return observed(self.seen(), KINDS, self.power)


#: The last reading of a member is old: PostgreSQL or its storage hangs.
HANGS = "hangs"
CHECKS_OF = {
    host: CHECKS["member" if "member" in kinds else "observer"]
    for host, kinds in KINDS.items()
    if kinds != ["repository"]
}


def slot(name: str) -> str:
    return name.replace("-", "_")

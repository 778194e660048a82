# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a fault may show itself by, looked at from the observer at once.

What is frozen or cut off takes its own time and nobody else's: whatever has not answered in time is left behind.
"""

from __future__ import annotations

import json
import threading
import time
import typing as t
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.network import get
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.members import (
    COMMIT_TIMEOUTS,
    Greetings,
    read_descriptor,
    read_members,
    ssh_ports,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.patroni import read_engine
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.rest import ask
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import patroni, topology
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.slots import slot_name

Record = dict[str, t.Any]
Job = Callable[[], t.Any]

#: The part of a look that one answer may take: what is asked needs a moment to begin, too.
ANSWER_PART = 0.5


def look(places: Mapping[str, t.Any], descriptor: str, seconds: float) -> Record:
    """One look: agents, hosts, the cluster's hazards, and the alerts that fire.

    :param places: ``agents``, the address of each; ``hosts``, where SSH of each should answer; ``alerts``, where
        Prometheus is asked, with the cluster's name and the files for TLS; None where there is none.
    :param seconds: how long it may take, except that a primary which answers may take longer to commit.
    """
    answer = seconds * ANSWER_PART
    jobs: dict[str, Job] = {
        **{f"agent {name}": _bound(_agent, url, answer) for name, url in places["agents"].items()},
        **{f"host {name}": _bound(_greeted, place, answer) for name, place in places["hosts"].items()},
        "cluster": _bound(_cluster, descriptor, answer),
    }
    if places["alerts"] is not None:
        jobs["alerts"] = _bound(_alerts, places["alerts"], answer)
    found = all_within(jobs, seconds, {"cluster": answer * (1 + COMMIT_TIMEOUTS) + seconds * ANSWER_PART})
    return {
        "agents": {name: _told(found[f"agent {name}"]) for name in places["agents"]},
        "hosts": {name: _told(found[f"host {name}"]) for name in places["hosts"]},
        "cluster": found["cluster"].value,
        "cluster_reason": found["cluster"].reason,
        "alerts": found["alerts"].value if "alerts" in found else None,
        "alerts_reason": found["alerts"].reason if "alerts" in found else "",
    }


# All at once ----------------------------------------------------------------------------------------------------------


class Outcome(t.NamedTuple):
    """What a job gave, or why it gave nothing."""

    value: t.Any
    reason: str


def all_within(jobs: Mapping[str, Job], seconds: float, longer: Mapping[str, float]) -> dict[str, Outcome]:
    """Each job's outcome. Nobody waits for one that takes longer: looking up a name knows no timeout.

    :param longer: jobs that have more seconds than the others.
    """
    found: dict[str, Outcome] = {}
    threads = {name: threading.Thread(target=_do, args=(name, job, found), daemon=True) for name, job in jobs.items()}
    for thread in threads.values():
        thread.start()
    deadlines = {name: Deadline(longer.get(name, seconds)) for name in jobs}
    for name, thread in threads.items():
        thread.join(deadlines[name].left())
    return {name: found.get(name, Outcome(None, f"no answer within {longer.get(name, seconds):g} s")) for name in jobs}


def _do(name: str, job: Job, found: dict[str, Outcome]) -> None:
    try:
        found[name] = Outcome(job(), "")
    except ResilienceError as error:
        found[name] = Outcome(None, error.message)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found[name] = Outcome(None, f"{type(error).__name__}: {error}")


def _bound(function: Callable[..., t.Any], *given: t.Any) -> Job:
    return lambda: function(*given)


def _told(outcome: Outcome) -> Record:
    if outcome.value is None:
        return {"answered": False, "reason": outcome.reason, "components": None, "reading": None}
    return {"answered": True, "reason": "it answers", "components": None, "reading": None, **outcome.value}


# One of each ----------------------------------------------------------------------------------------------------------


def _agent(url: str, seconds: float) -> Record:
    """What an agent says of its host. One that tells no details has answered all the same."""
    answer = get(f"{url}/healthz", time.monotonic() + seconds)
    try:
        return of_agent(json.loads(answer.body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnknownError(f"{url} answers, and not as a health agent: {error!r}") from error


def of_agent(body: Mapping[str, t.Any]) -> Record:
    """What counts of its answer."""
    components = body.get("components")
    told = components and {
        name: {key: one[key] for key in ("own", "fault", "reason")} for name, one in components.items()
    }
    return {"components": told, "reading": body.get("reading")}


def _greeted(place: t.Sequence[t.Any], seconds: float) -> Record:
    address, port = place[0], int(place[1])
    if not Greetings([(address, port)], seconds).of(0):
        raise UnknownError(f"SSH does not answer at {address}, port {' or '.join(map(str, ssh_ports(port)))}")
    return {"reason": "SSH answers"}


def _cluster(descriptor: str, seconds: float) -> Record:
    """The members and what is wrong with the cluster, as the module cluster_info finds it."""
    facts = read_descriptor(descriptor)
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(read_engine, facts, timeout=seconds)
        members = read_members(facts, timeout=seconds, run=run)
    engine = asked.result()
    primary = topology.sole_primary(members)
    found = topology.hazards(members, {slot_name(name): name for name in facts.get("receivers", [])})
    found += patroni.hazards(engine, primary.name if primary else None, [one.name for one in members])
    return {
        "members": [
            {
                "name": one.name,
                "standing": one.standing.value,
                "reason": one.reason,
                "receiving_from": one.receiving_from,
            }
            for one in members
        ],
        "hazards": [hazard.as_dict() for hazard in found],
        "engine": "manual" if engine is None else "patroni",
    }


def _alerts(place: Mapping[str, t.Any], seconds: float) -> list[Record]:
    """The alerts that fire about the cluster, or about all that Prometheus sees."""
    status, content = ask((place["host"], int(place["port"])), "/api/v1/alerts", place["tls"], timeout=seconds)
    if status != 200:
        raise UnknownError(f"Prometheus answers with {status}: {content}")
    return [
        {
            "name": one["labels"]["alertname"],
            "severity": one["labels"].get("severity", ""),
            "instance": one["labels"].get("instance", ""),
            "summary": one["annotations"].get("summary", ""),
        }
        for one in content["data"]["alerts"]
        if one["state"] == "firing"
        and one["labels"].get("cluster", place["cluster"]) == place["cluster"]
        # The watchdog always fires.
        and one["labels"].get("severity") != "none"
    ]

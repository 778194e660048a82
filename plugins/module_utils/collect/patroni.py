# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Patroni says of a cluster, and what it is asked to do: by its REST API, each step with a deadline."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.rest import Ask, ask
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.patroni import Engine

CONFIG = "/etc/patroni/config.yml"
#: What patronictl asks before it removes a cluster that nobody leads.
AWARE = "Yes I am aware"
#: What it says where somebody has the lease, and seconds until it is asked again.
LED = "currently is healthy"
LEASE_LOOK_SECONDS = 1.0


def read_engine(facts: t.Mapping[str, t.Any], *, timeout: float, ask: Ask = ask) -> Engine | None:
    """What Patroni says of the cluster, asked of every member at once; None where it is not in charge.

    :param facts: what role observer wrote of the cluster.
    """
    if not facts.get("patroni"):
        return None
    members = facts["members"]
    with ThreadPoolExecutor(max_workers=len(members) or 1) as pool:
        said = list(pool.map(lambda one: _said(one["address"], facts, timeout, ask), members))
    known = [one for one in said if one is not None]
    if not known:
        return Engine(seen=False)
    cluster, own, config = known[0]
    return Engine(
        seen=True,
        version=str(own.get("patroni", {}).get("version", "")),
        paused=bool(cluster.get("pause", False)),
        synchronous=bool(config.get("synchronous_mode", False)),
        members={
            one["name"]: {"role": one["role"], "state": one["state"], "tags": one.get("tags", {})}
            for one in cluster.get("members", [])
        },
    )


def _said(
    address: str, facts: t.Mapping[str, t.Any], timeout: float, ask: Ask
) -> tuple[dict[str, t.Any], dict[str, t.Any], dict[str, t.Any]] | None:
    """The cluster, the member and the shared configuration, in one member's words."""
    found = []
    for path in ("/cluster", "/patroni", "/config"):
        try:
            _status, content = ask((address, facts["patroni"]["port"]), path, {"ca": facts["ca"]}, timeout=timeout)
        except OSError:
            return None
        if not isinstance(content, dict):
            return None
        found.append(content)
    return found[0], found[1], found[2]


class Api:
    """The REST API of this host's Patroni, which a certificate of the cluster's authority may change things by."""

    def __init__(self, member: t.Mapping[str, t.Any], ask: Ask = ask) -> None:
        if not member.get("patroni"):
            raise InputError(
                f"Patroni is not in charge of {member['name']}",
                possible="a cluster whose resilience_ha_engine is patroni",
                next_step="run the site playbook with that engine",
            )
        self._member = member
        self._ask = ask

    def get(self, path: str, timeout: float = 5) -> t.Any:
        """What GET answers.

        :raises UnknownError: Patroni does not answer.
        """
        return self._asked(path, "GET", None, timeout)[1]

    def change(self, path: str, method: str, body: t.Any, timeout: float) -> str:
        """Ask for a change, and wait until Patroni says that it is done.

        :raises RefusedError: Patroni does not do it.
        """
        status, content = self._asked(path, method, body, timeout)
        if status not in (200, 202):
            raise RefusedError(
                f"Patroni on {self._member['name']} answers {method} /{path} with {status}: {content}",
                next_step="see what is wrong with module cluster_info, and with patronictl list",
            )
        return str(content)

    def _asked(self, path: str, method: str, body: t.Any, timeout: float) -> tuple[int, t.Any]:
        tls = self._member["patroni"]
        place = (self._member["address"], tls["port"])
        try:
            return self._ask(place, f"/{path}", tls, method=method, body=body, timeout=timeout)
        except OSError as error:
            raise UnknownError(
                f"Patroni on {self._member['name']} does not answer: {error}",
                given=f"{method} https://{place[0]}:{place[1]}/{path}",
                changed=method != "GET",
                next_step="see whether it runs: systemctl status patroni",
            ) from error


def differences(wanted: t.Mapping[str, t.Any], there: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The part of ``wanted`` that is not ``there``, as PATCH /config takes it."""
    found: dict[str, t.Any] = {}
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(there.get(key), dict):
            if inner := differences(value, there[key]):
                found[key] = inner
        elif there.get(key) != value:
            found[key] = value
    return found


def pause(cluster: str, timeout: float, *, run: Runner) -> None:
    """Let nobody take over, and wait until every member knows it. A second time changes nothing.

    :raises UnknownError: not every member knows it.
    """
    argv = ["patronictl", "--config-file", CONFIG, "pause", "--wait", cluster]
    answer = run(argv, timeout=timeout, check=False)
    if answer.rc != 0 and "already paused" not in answer.stdout + answer.stderr:
        raise UnknownError(
            f"Patroni of {cluster} could not be paused: {(answer.stderr or answer.stdout).strip()[-500:]}",
            changed=True,
            next_step="see what it says: patronictl list; patronictl resume ends a pause",
        )


def forget(cluster: str, timeout: float, *, run: Runner) -> None:
    """Remove what etcd knows of a cluster that nobody leads.

    Who was paused when it was stopped has left its lease there. It runs out by itself, and is waited for: that nobody
    renews it is the proof that nobody leads.

    :raises RefusedError: somebody still leads after ``timeout`` seconds, so Patroni runs.
    """
    deadline = Deadline(timeout)
    while not _removed(cluster, run):
        if deadline.expired():
            raise RefusedError(
                f"somebody leads {cluster}, so what etcd knows of it was not removed",
                next_step="stop Patroni on every member first",
            )
        time.sleep(LEASE_LOOK_SECONDS)


def _removed(cluster: str, run: Runner) -> bool:
    """False if somebody leads, or led until a moment ago.

    :raises UnknownError: Patroni could not remove it.
    """
    answer = run(
        ["patronictl", "--config-file", CONFIG, "remove", cluster],
        timeout=30,
        stdin=f"{cluster}\n{AWARE}\n",
        check=False,
    )
    if LED in answer.stdout + answer.stderr:
        return False
    if answer.rc != 0:
        raise UnknownError(
            f"what etcd knows of {cluster} could not be removed: {(answer.stderr or answer.stdout).strip()[-500:]}",
            next_step="see whether etcd answers: etcdctl endpoint health",
        )
    return True

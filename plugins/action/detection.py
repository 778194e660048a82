# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer sees is compared with runbooks that lie on the control node, again and again if need be."""

from __future__ import annotations

import threading
import time
import typing as t
from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.fencing import STATUS_OFF, STATUS_ON, Agent
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.members import SSH_PORT
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner, run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    ResilienceError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import detection, severity
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.observation import Observation, observed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, parsed
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.detected import screen

Result = dict[str, t.Any]

ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "within": {"type": "float", "default": 0},
    "directory": {"type": "path", "default": str(catalogue.RUNBOOKS)},
    "deadline": {"type": "float", "default": 2.0},
    "severity": {"type": "str", "choices": list(severity.LEVELS)},
    "severity_reason": {"type": "str", "default": ""},
    "budget_burn": {"type": "float"},
    "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/observer.json"},
}
#: Groups by function that are looked at: the kind of host, the variable that names the group, and its usual name.
GROUPS: t.Final = {
    "member": ("resilience_members_group", "members"),
    "gateway": ("resilience_gateways_group", "gateways"),
    "observer": ("resilience_observers_group", "observers"),
    "repository": ("resilience_repositories_group", "repositories"),
}
#: Whose hosts have a health agent.
WATCHED = frozenset({"member", "gateway", "observer"})
#: Seconds that a fence agent may take, while looks go on.
POWER_SECONDS = 10.0


class ActionModule(ActionBase):
    """Looks through the task's host, and judges here."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        variables = task_vars or {}
        super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(ARGUMENTS)
        try:
            demand_times(given)
            books, left_out = runbooks(Path(given["directory"]))
            inventory = Inventory(variables)
            found = self._watched(given, books, inventory, variables)
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}
        return {**found, **({"warnings": left_out} if left_out else {})}

    def _watched(
        self, given: Result, books: list[Runbook], inventory: Inventory, variables: dict[str, t.Any]
    ) -> Result:
        powers, recognition = Powers(inventory.fence_agents()), detection.Recognition()
        begin, end = time.monotonic(), Deadline(given["within"])
        while True:
            moment = time.monotonic()
            seen = self._look(given, inventory, powers, variables)
            ranked = detection.ranked(books, seen)
            told = recognition.told(ranked, moment) and not powers.asking()
            if not given["within"]:
                told = bool(ranked) and ranked[0].score > detection.THRESHOLD
            if told or end.expired():
                break
            time.sleep(max(0.0, min(moment + detection.APART - time.monotonic(), end.left())))
        seconds = round(time.monotonic() - begin, 1)
        found = answer(given, books, seen, ranked, recognised=told, seconds=seconds)
        return {"cluster": inventory.cluster, "screen": screen({"cluster": inventory.cluster, **found}), **found}

    def _look(self, given: Result, inventory: Inventory, powers: Powers, variables: dict[str, t.Any]) -> Observation:
        arguments = {
            "places": inventory.places(),
            "deadline": given["deadline"],
            "descriptor": given["descriptor"],
        }
        told = self._execute_module("fraiseql.resilience.detection", module_args=arguments, task_vars=variables)
        if "seen" not in told:
            raise UnknownError(
                f"the observer could not look: {told.get('msg')}", next_step="look from another observer"
            )
        gone = [host for host, one in told["seen"]["agents"].items() if not one["answered"]]
        return observed(told["seen"], inventory.kinds, powers.of(gone, given["deadline"]))


def demand_times(given: Mapping[str, t.Any]) -> None:
    """:raises InputError: there is no time to look."""
    for name, least in (("within", 0.0), ("deadline", 0.1)):
        if given[name] < least:
            raise InputError(f"this is no time to look in: {name}", given=given[name], possible=f"{least:g} or more")


def runbooks(directory: Path) -> tuple[list[Runbook], list[str]]:
    """Those that can be read; in an outage, one that is broken must not hide the others. And which were left out, why.

    :raises InputError: there is none, or none that can be read.
    """
    found, wrong = [], []
    schema = catalogue.schema()
    for folder in catalogue.folders(directory):
        try:
            found.append(parsed(catalogue.source(directory, folder).document, schema, folder))
        except InputError as error:
            wrong.append(f"left out: {error.message}")
    if not found:
        raise InputError("no runbook can be read", given=str(directory), next_step="see them with module runbook_lint")
    return found, wrong


def answer(
    given: Mapping[str, t.Any],
    books: list[Runbook],
    seen: Observation,
    ranked: list[detection.Match],
    *,
    recognised: bool,
    seconds: float,
) -> Result:
    """What the module returns. A severity that is refused takes nothing of what was seen with it."""
    level, refused = severity.computed(seen, given["budget_burn"]), {}
    try:
        level = severity.decided(level, given["severity"], given["severity_reason"])
    except InputError as error:
        refused = {"failed": True, **error.as_result()}
    return {
        "changed": False,
        "ranked": [one.as_dict() for one in ranked],
        "recognised": recognised,
        "seconds": seconds,
        "verdict": detection.verdict(seen, recognised=recognised),
        "wrong": [str(fact) for fact in seen.wrong],
        "unexplained": list(ranked[0].unexplained) if ranked else [str(fact) for fact in seen.wrong],
        "unseen": list(seen.unseen),
        "blind": seen.blind,
        "left_to_people": detection.left_to_people(books, seen),
        **level.as_dict(),
        **refused,
    }


class Inventory:
    """The hosts of the task's cluster, what each is, and where it answers."""

    def __init__(self, variables: Mapping[str, t.Any]) -> None:
        self._all, self._own = variables["hostvars"], str(variables["inventory_hostname"])
        groups, cluster = variables["groups"], self._of(self._own, "resilience_cluster", "")
        if cluster not in groups:
            raise InputError(
                "the cluster of this host is not known",
                given=f"resilience_cluster={cluster}",
                possible="a group of the inventory",
                next_step="set resilience_cluster for its hosts",
            )
        self.cluster = str(cluster)
        self.kinds: dict[str, list[str]] = {}
        for kind, (variable, usual) in GROUPS.items():
            for host in groups.get(self._of(self._own, variable, usual), ()):
                if host in groups[cluster]:
                    self.kinds.setdefault(str(host), []).append(kind)

    def places(self) -> Result:
        """What the observer looks at."""
        watched = [host for host, kinds in self.kinds.items() if WATCHED.intersection(kinds)]
        return {
            "agents": {
                host: f"http://{_bracketed(self._address(host))}:{self._of(host, 'health_port', 8008)}"
                for host in watched
            },
            "hosts": {host: [self._address(host), self._ssh_port(host)] for host in self.kinds},
            "alerts": self._prometheus(),
        }

    def fence_agents(self) -> dict[str, Agent]:
        """By member."""
        found = {}
        for host in self.kinds:
            agent = self._of(host, "resilience_fence_agent", None) or {}
            if "member" in self.kinds[host] and "path" in agent:
                options = {str(key): str(value) for key, value in (agent.get("options") or {}).items()}
                found[host] = Agent(str(agent["path"]), options)
        return found

    def _prometheus(self) -> Result | None:
        """That of the observer that looks."""
        host = self._own
        if not boolean(self._of(host, "resilience_monitoring", False)):
            return None
        tls = str(self._of(host, "tls_directory", "/etc/fraiseql-resilience/tls"))
        return {
            "host": self._address(host),
            "port": int(self._of(host, "monitoring_prometheus_port", 9090)),
            "cluster": self.cluster,
            "tls": {"ca": f"{tls}/ca.crt", "cert": f"{tls}/host.crt", "key": f"{tls}/host.key"},
        }

    def _address(self, host: str) -> str:
        return str(self._of(host, "resilience_address", host))

    def _ssh_port(self, host: str) -> int:
        """What observers are told of their way to it; else what the control node goes by."""
        told = self._of(host, "observer_ssh_port", self._of(self._own, "observer_ssh_port", 0))
        return int(told) or int(self._of(host, "ansible_port", SSH_PORT))

    def _of(self, host: str, name: str, default: t.Any) -> t.Any:
        return self._all[host].get(name, default)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


class Powers:
    """Whether members' hosts are on, as their fence agents say. Nobody waits for one that takes longer than a look."""

    def __init__(self, agents: Mapping[str, Agent], ask: Runner = run) -> None:
        self._agents, self._run = agents, ask
        self._told: dict[str, list[bool | None]] = {}
        self._asked: dict[str, threading.Thread] = {}
        self._gone: list[str] = []
        self._unheard = False

    def of(self, gone: Iterable[str], seconds: float) -> dict[str, bool]:
        """What is known of those that are gone, after so many seconds at most."""
        deadline, names = Deadline(seconds), [name for name in gone if name in self._agents]
        for name in names:
            if name not in self._gone:
                # What is said of the time before, or still will be, says nothing of now.
                self._told[name] = []
            if name not in self._gone or not self._asked[name].is_alive():
                self._asked[name] = threading.Thread(target=self._ask, args=(name, self._told[name]), daemon=True)
                self._asked[name].start()
        self._gone = names
        for name in names:
            self._asked[name].join(deadline.left())
        # In this order: an answer that comes between the two was heard.
        busy = [name for name in names if self._asked[name].is_alive()]
        told = {name: answers[-1] for name in names if (answers := self._told[name])}
        self._unheard = any(name not in told for name in busy)
        return {name: on for name in names if (on := told.get(name)) is not None}

    def asking(self) -> bool:
        """Was one not heard in the last look, which may tell one runbook from another? Said since, it was not seen."""
        return self._unheard

    def _ask(self, name: str, told: list[bool | None]) -> None:
        status: int | None = None
        try:
            status = self._agents[name].ask("status", POWER_SECONDS, self._run)
        except ResilienceError:
            pass
        told.append(None if status not in (STATUS_ON, STATUS_OFF) else status == STATUS_ON)

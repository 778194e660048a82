# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies beside a runbook's data: a fault that bash can make, a procedure that asks first, a verification.

What their statements do is tried on a real PostgreSQL, where one is installed; that all of it works together, by a lab.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
import typing as t
from pathlib import Path
from string import Template

import jinja2
import pytest
import real_cluster as real
import yaml
from sample_cluster import Lab

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import pgbackrest, records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import detection
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import outcome
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import parsed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Standing
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import worst
from ansible_collections.fraiseql.resilience.plugins.modules import pgbackrest_info
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue, expressions

Task = dict[str, t.Any]

#: Those of resources and of who may connect.
FOLDERS = (
    "application_locked_out", "configuration_broken", "connections_exhausted", "lock_queue", "pool_exhausted",
    "shared_memory_full",
)  # fmt: skip
INCLUDE = "ansible.builtin.include_tasks"
EVIDENCE = "fraiseql.resilience.evidence"
real_postgresql = pytest.mark.skipif(real.REASON is not None, reason=real.REASON or "")


def plays(name: str, part: str) -> list[Task]:
    found: list[Task] = yaml.safe_load((catalogue.RUNBOOKS / name / f"{part}.yml").read_text(encoding="utf-8"))
    return found


def tasks(items: t.Any) -> t.Iterator[Task]:
    for item in items or []:
        yield item
        yield from tasks(item.get("block"))


def of(name: str, part: str) -> list[Task]:
    """The tasks of all its plays, in order."""
    return [task for play in plays(name, part) for task in tasks(play.get("tasks"))]


def filled(given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Variables as Ansible would fill them, where what one holds may name other ones."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["quote"] = shlex.quote
    found = {key: value for key, value in given.items() if not isinstance(value, str) or "{{" not in value}
    while len(found) < len(given):
        left = {key: environment.from_string(value) for key, value in given.items() if key not in found}
        begun = len(found)
        for key, template in left.items():
            with contextlib.suppress(jinja2.UndefinedError):
                found[key] = template.render(found)
        assert len(found) > begun, f"{', '.join(left)} need what is not there"
    return found


# The fault ------------------------------------------------------------------------------------------------------------


def fault(name: str) -> dict[str, t.Any]:
    """What bash is given, as on the primary of a lab."""
    [task] = of(name, "inject")
    assert task[INCLUDE] == "../../tasks/fault.yml"
    given: dict[str, t.Any] = {
        **task["vars"],
        "cluster": {"primary": "pg-a1"},
        "groups": {"gateways": ["observer"], "lab": ["observer"]},
        "hostvars": {"pg-a1": {}, "observer": {}},
        "inventory_hostname": "observer",
        "resilience_cluster": "lab",
        "psql": "cd / && runuser --user=postgres -- psql -XAtq",
    }
    return filled(given)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_fault_is_the_labs_and_ends_by_itself(name: str) -> None:
    made = fault(name)
    assert made["fault"] == name
    for part in ("made", "undone"):
        read = subprocess.run(["bash", "-n"], input=made[part], capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), made[part]
    # Twice, or where it was never made.
    assert not re.search(r"DROP (?!\w+ IF EXISTS)", made["undone"])
    assert made["undone"].count("systemctl stop") == made["undone"].count("systemctl is-active --quiet")
    # What could not be undone has to be said, and tried again.
    assert "|| true" not in made["undone"]
    # The unit that ends a fault by itself has the fault's own name.
    units = re.findall(r"--unit=(\S+)", made["made"])
    assert all(unit.startswith(f"lab-fault-{name}-") for unit in units)
    if "program" in made:
        compile(made["program"], name, "exec")
        # What systemd would take for a variable.
        assert "$" not in made["program"] and "%" not in made["program"]


# The procedure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FOLDERS)
def test_a_procedure_asks_first_and_is_sealed_last(name: str) -> None:
    first, *_between, last = plays(name, "respond")
    assert [task[INCLUDE] for task in first["tasks"]] == ["../../tasks/begin.yml"]
    assert first["tasks"][0]["vars"] == {"operation": "respond", "runbook": name}
    assert (last["ansible.builtin.import_playbook"], last["vars"]) == ("../end.yml", {"runbook": name})
    second = of(name, "respond")[1]
    assert second["fraiseql.resilience.confirmation"] == {"state": "given"}


def changing(task: Task) -> bool:
    """Whether it does more than look, in a run that is no plan."""
    if INCLUDE in task:
        return str(task[INCLUDE]).endswith("member_sql.yml") and not task["vars"].get("reads")
    return bool({"ansible.builtin.include_role", "ansible.builtin.shell", "ansible.builtin.command"} & set(task))


@pytest.mark.parametrize("name", FOLDERS)
def test_evidence_is_kept_before_anything_is_changed(name: str) -> None:
    found = of(name, "respond")
    kept = [place for place, task in enumerate(found) if EVIDENCE in task]
    changed = [place for place, task in enumerate(found) if changing(task)]
    assert kept and changed and max(kept) < min(changed)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_plan_is_shown_and_a_statement_of_a_plan_only_reads(name: str) -> None:
    found = of(name, "respond")
    assert any("ansible.builtin.debug" in task and task["when"] == "ansible_check_mode" for task in found)
    for task in found:
        if changing(task) and "ansible.builtin.include_role" not in task:
            assert "not ansible_check_mode" in task["when"], task["name"]


@pytest.mark.parametrize("name", ["application_locked_out", "configuration_broken"])
def test_a_server_reads_what_a_run_that_was_cut_off_has_written(name: str) -> None:
    """A handler is forgotten with the run that notified it, and the next run finds nothing to change."""
    [reload] = [task for task in of(name, "respond") if "pg_reload_conf()" in str(task.get("vars"))]
    assert reload["when"] == "not ansible_check_mode"


@pytest.mark.parametrize(
    "name", ["agent_down", "application_locked_out", "configuration_broken", "gateway_down", "shared_memory_full"]
)
def test_a_host_that_fails_keeps_no_other_one_from_being_mended(name: str) -> None:
    mended = re.compile("resilience_(?:members|gateways)_group")
    [mending] = [play for play in plays(name, "respond") if mended.search(str(play.get("hosts")))]
    assert "any_errors_fatal" not in mending


@pytest.mark.parametrize("path", sorted(catalogue.RUNBOOKS.glob("*/verify.yml")), ids=lambda path: path.parent.name)
def test_a_verification_of_a_cluster_that_nobody_knows_does_not_end_well(path: Path) -> None:
    first = yaml.safe_load(path.read_text(encoding="utf-8"))[0]
    assert first["ansible.builtin.import_playbook"] == "../known_cluster.yml"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_verification_changes_nothing_and_says_what_it_found(name: str) -> None:
    found = of(name, "verify")
    assert not [task["name"] for task in found if changing(task) or EVIDENCE in task]
    assert found[-1][INCLUDE] == "../../tasks/verified.yml"
    # The judge of a drill asks the primary that this has found.
    assert found[0][INCLUDE] == "../../tasks/primary_seen.yml"


def statements() -> t.Iterator[tuple[str, str]]:
    for name in FOLDERS:
        for path in sorted((catalogue.RUNBOOKS / name).rglob("*.yml")):
            yield f"{name}/{path.name}", path.read_text(encoding="utf-8")


def test_records_of_a_repository_host_are_looked_for_by_the_stanzas_name() -> None:
    """A stanza may be called otherwise than its cluster."""
    kept = records.files("$STANZA")
    there = {str(path) for path in (kept.catalogue, kept.verifications, kept.forecasts, kept.forecast)}
    named = {
        path
        for book in catalogue.RUNBOOKS.glob("*/runbook.yml")
        for path in re.findall(
            rf"{records.ROOT}/(?:backups|verifications|forecasts)/\S+", book.read_text(encoding="utf-8")
        )
    }
    assert named and named <= there


def test_nothing_is_ended_by_a_condition() -> None:
    """PostgreSQL may call a function of a condition for rows that the others rule out: whom to end is chosen before."""
    ends = r"pg_(?:cancel|terminate)_backend\("
    for where, text in statements():
        for match in re.finditer(ends, text):
            before = text[: match.start()]
            assert re.search(r"(?:SELECT (?:pid, |count\()?|FILTER \(WHERE )$", before), f"{where}: {before[-60:]}"


def test_an_application_is_one_at_each_gateway_whatever_the_database_is_called() -> None:
    path = catalogue.RUNBOOKS.parent / "tasks" / "application_session.yml"
    [opened] = [task for task in yaml.safe_load(path.read_text(encoding="utf-8")) if "loop" in task]
    assert opened["environment"]["PGDATABASE"] == "{{ knows.gateway.database }}"
    assert not [word for word in opened["ansible.builtin.command"]["argv"] if "{{" in word]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    others = environment.from_string(opened["vars"]["other_gateways"]).render(
        groups={"orders": ["gw-b", "gw-a", "gw-c"], "gateways": ["gw-b", "gw-a", "gw-c", "another-clusters"]},
        hostvars={"gw-a": {}, "gw-b": {"resilience_address": "fd00::2", "gateway_port": 7432}, "gw-c": {}},
        knows={"gateway": {"host": "gw-a"}},
        resilience_cluster="orders",
    )
    assert ast.literal_eval(others.strip()) == [
        {"name": "gateway gw-b", "address": "fd00::2", "port": 7432},
        {"name": "gateway gw-c", "address": "gw-c", "port": 6432},
    ]


# What tells it from the others ----------------------------------------------------------------------------------------

REFUSED = "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute"
LOCKED_OUT = 'FATAL:  pg_hba.conf rejects connection for host "198.18.1.11", user "resilience_probe"'
FAILING = "FATAL:  server login has been failing, try again later (server_login_retry)"
LATE = "PostgreSQL gave no answer within the deadline"


def waiting(clients: int, used: int) -> str:
    return f"{clients} wait for resilience/resilience_probe, with {used} of 20 in use; the longest: 6 s (limit 5 s)"


#: What the agents of a lab said of each fault, once it was there.
SHOWN: dict[str, t.Callable[[Lab], Lab]] = {
    "connections_exhausted": lambda lab: (
        lab.fails("pg-a1", "login", f"resilience_probe gets no session: {REFUSED}")
        .fails("pg-a1", "sessions", "197 of 197 connection slots are taken: 100 % (limit 95 %)")
        .stands("pg-a1", Standing.UNSEEN, REFUSED)
    ),
    "lock_queue": lambda lab: lab.warns("pg-a1", "sessions", "8 wait for a lock, the longest: 6.1 s (warns at 5 s)"),
    "pool_exhausted": lambda lab: (
        lab.fails("observer", "pgbouncer", waiting(7, 20))
        .fails("observer", "login", f"resilience_probe gets no session: {LATE}")
        .fails("observer", "heartbeat", f"no row is written: {LATE}")
    ),
    "application_locked_out": lambda lab: (
        lab.fails("pg-a1", "login", f"resilience_probe gets no session: {LOCKED_OUT}")
        .warns("observer", "pgbouncer", waiting(1, 0))
        .fails("observer", "login", f"resilience_probe gets no session: {FAILING}")
        .fails("observer", "heartbeat", f"no row is written: {FAILING}")
    ),
    "configuration_broken": lambda lab: lab.fails(
        "pg-a1", "configuration", "/etc/postgresql/17/main/conf.d/resilience.conf, line 4: setting could not be applied"
    ),
    "shared_memory_full": lambda lab: lab.fails("pg-a1", "shared_memory", "/dev/shm: free: 3.03 % (limit 5 %)"),
}


def test_each_is_the_first_that_comes_to_mind_for_its_fault() -> None:
    books = [parsed(one.document, catalogue.schema(), one.folder) for one in catalogue.sources()]
    for name, show in SHOWN.items():
        found = detection.ranked(books, show(Lab()).observed())
        assert [one.book.id for one in found][:1] == [name], [(one.book.id, one.score) for one in found]
        assert found[0].score > detection.THRESHOLD


def test_an_agent_that_has_not_looked_again_yet_is_no_hindrance() -> None:
    """Sessions are looked at each 5 s only."""
    lab = SHOWN["connections_exhausted"](Lab()).finds("pg-a1", "sessions", [])
    books = [parsed(one.document, catalogue.schema(), one.folder) for one in catalogue.sources()]
    found = detection.ranked(books, lab.observed())
    assert found[0].book.id == "connections_exhausted" and found[0].score > detection.THRESHOLD


@pytest.mark.parametrize(
    ("name", "said", "taken"),
    [
        ("configuration_broken", "pg-a1: /etc/postgresql/17/main/pg_hba.conf, line 9: invalid connection type", True),
        ("configuration_broken", "pg-a1: max_wal_senders, shared_buffers", False),
    ],
)
def test_what_was_seen_decides_alone_only_where_it_is_this_fault(name: str, said: str, taken: bool) -> None:
    [source] = [one for one in catalogue.sources() if one.folder == name]
    [decision] = [step for step in source.document["steps"] if step["type"] == "decision"]
    [test] = [branch["test"] for branch in decision["branches"] if "test" in branch]
    look = {"outcome": "failure", "said": [f"observer: {said}. Nothing was changed."]}
    assert expressions.holds(test, {"look": look}) is taken


@pytest.mark.parametrize(("name", "asked"), [("application_locked_out", "on_purpose"), ("slot_unused", "whose")])
def test_what_only_people_know_no_test_decides(name: str, asked: str) -> None:
    """Somebody who answers a break-in may lock applications out; a slot may wait for a consumer of another team."""
    [source] = [one for one in catalogue.sources() if one.folder == name]
    steps = {step["id"]: step for step in source.document["steps"]}
    assert not [branch for branch in steps[asked]["branches"] if "test" in branch]
    assert steps[steps[asked]["next"]["unknown"]]["type"] == "end"
    assert asked in source.document["drill"]["answers"]


GONE, KEY = "[HostConnectError] unable to connect", "[CryptoError] unable to flush"


@pytest.mark.parametrize(
    ("unread", "leads_to"),
    [
        ({2: GONE}, "called"),
        ({2: KEY}, "called"),
        ({1: GONE}, "host"),
        # A host that answers is not gone; and who reaches neither of them may be the one that is cut off.
        ({1: KEY}, None),
        ({1: GONE, 2: GONE}, None),
        ({}, None),
    ],
)
def test_which_repository_does_not_answer_is_said_by_pgbackrest(unread: dict[int, str], leads_to: str | None) -> None:
    stanza = pgbackrest.Stanza(
        "orders", 0, "ok", (), databases=(), archives=(), backups=(), backup_running=False, percent_complete=None
    )
    codes = {number: pgbackrest.OTHER if number in unread else pgbackrest.OK for number in (1, 2)}
    repositories = [
        pgbackrest.Repository(number, "none", code, unread.get(number, "ok")) for number, code in codes.items()
    ]
    checks = [pgbackrest_info.readable(stanza, one) for one in repositories]
    answer = {"verdict": worst(checks).value, "checks": [check.as_dict() for check in checks]}
    told = [{"kind": "answer", "host": "pg-a1", "result": answer}, {"kind": "ended", "hosts": ["pg-a1"]}]
    found = outcome.judged(outcome.Ran(0, False, 120, told, [], one_module=True, looks=True))
    assert found.outcome == ("failure" if unread else "success")
    [source] = [one for one in catalogue.sources() if one.folder == "store_unreachable"]
    [decision] = [step for step in source.document["steps"] if step["type"] == "decision"]
    which = {"outcome": found.outcome, "said": list(found.said)}
    held = [
        one["next"]
        for one in decision["branches"]
        if "test" in one and expressions.holds(one["test"], {"which": which})
    ]
    assert held == ([leads_to] if leads_to else [])


# What statements do ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> t.Iterator[real.Cluster]:
    with real.real_cluster() as found:
        found.sql("CREATE ROLE app LOGIN; CREATE ROLE other LOGIN; CREATE TABLE orders (id int, number int);")
        found.sql("INSERT INTO orders VALUES (1, 1); GRANT ALL ON orders TO app; ALTER TABLE orders OWNER TO other")
        yield found


class Session:
    """One that lasts until :meth:`close`. What it is told is done one after the other."""

    def __init__(self, cluster: real.Cluster, role: str, *statements: str) -> None:
        argv = ["psql", "-XAtq", "-h", str(cluster.folder), "-p", str(cluster.port), "-U", role, "-d", "postgres"]
        self.process = subprocess.Popen(
            [*argv, "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, cwd="/",
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write("SELECT pg_backend_pid();\n" + "".join(f"{one};\n" for one in statements))
        self.process.stdin.flush()
        assert self.process.stdout is not None
        self.pid = int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def eventually(well: t.Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not well():
        assert time.monotonic() < end
        time.sleep(0.02)


def looked(cluster: real.Cluster, name: str) -> t.Any:
    path = catalogue.RUNBOOKS / name / "tasks" / "look.yml"
    [task, *_others] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return json.loads(cluster.sql(task["vars"]["statement"]))


def done(cluster: real.Cluster, name: str, title: str, given: t.Mapping[str, t.Any]) -> str:
    """The statement of a procedure's task, with variables of its play."""
    for play in plays(name, "respond"):
        for task in tasks(play.get("tasks")):
            if task["name"] == title:
                filled_in = filled(needed({**play["vars"], **task["vars"], **given}, task["vars"]["statement"]))
                return cluster.sql(filled_in["statement"])
    raise AssertionError(f"{name} has no task {title}")


def needed(given: t.Mapping[str, t.Any], statement: str) -> dict[str, t.Any]:
    """The variables that a statement names, and those that they name; the others are of no concern here."""
    names = {"statement"}
    everything = {**given, "statement": statement}
    for _round in everything:
        texts = [str(everything[name]) for name in names]
        names |= {name for name in everything if any(re.search(rf"\b{name}\b", text) for text in texts)}
    return {name: everything[name] for name in names}


def states(cluster: real.Cluster) -> dict[int, str]:
    rows = cluster.sql("SELECT pid, state FROM pg_stat_activity WHERE usename IN ('app', 'other')").splitlines()
    return {int(pid): state for pid, _bar, state in (row.partition("|") for row in rows)}


@pytest.fixture
def sessions() -> t.Iterator[list[Session]]:
    found: list[Session] = []
    yield found
    for one in found:
        one.close()


@pytest.mark.slow
@real_postgresql
def test_whoever_holds_most_loses_the_sessions_that_were_idle_for_longest(
    cluster: real.Cluster, sessions: list[Session]
) -> None:
    for _number in range(5):
        sessions.append(Session(cluster, "app"))
        eventually(lambda: states(cluster).get(sessions[-1].pid) == "idle")
    sessions.append(Session(cluster, "app", "BEGIN", "SELECT 1"))
    sessions.append(Session(cluster, "other"))
    eventually(lambda: sorted(states(cluster).values()) == [*["idle"] * 6, "idle in transaction"])
    expected = [("app", 6, 5, False), ("other", 1, 1, False), ("postgres", 1, 0, True)]

    def are_seen() -> bool:
        """But for whoever asked before, who may not have left its slot yet."""
        slots = looked(cluster, "connections_exhausted")
        roles = [(one["role"], one["sessions"], one["idle"], one["kept"]) for one in slots["roles"]]
        return (roles, slots["slots"], slots["used"], slots["in_recovery"]) == (expected, 97, 8, False)

    eventually(are_seen)
    title = "Its sessions that have been idle for longest end"
    assert done(cluster, "connections_exhausted", title, {"holder": {"role": "app"}, "beyond": 3}) == "3"
    eventually(lambda: set(states(cluster)) == {one.pid for one in sessions[3:]})


@pytest.mark.slow
@real_postgresql
def test_a_queue_ends_with_whoever_holds_it_up_and_nobody_else(cluster: real.Cluster, sessions: list[Session]) -> None:
    change = "UPDATE orders SET number = number + 1"

    def begins(role: str, *statements: str, waiting: int) -> int:
        sessions.append(Session(cluster, role, *statements))
        pid = sessions[-1].pid
        eventually(lambda: pid in states(cluster) and looked(cluster, "lock_queue")["waiting"] == waiting)
        return pid

    innocent = begins("app", "BEGIN", "SELECT 1", waiting=0)
    root = begins("app", "BEGIN", change, waiting=0)
    eventually(lambda: states(cluster) == {innocent: "idle in transaction", root: "idle in transaction"})
    writer = begins("other", change, waiting=1)
    schema_change = begins("other", "ALTER TABLE orders ADD COLUMN note text", waiting=2)
    reader = begins("app", "SELECT count(*) FROM orders WHERE number = 42", waiting=3)
    seen = {one["pid"]: one for one in looked(cluster, "lock_queue")["sessions"]}
    assert {pid: set(one["waits_for"]) for pid, one in seen.items()} == {
        root: set(), writer: {root}, schema_change: {root, writer}, reader: {schema_change},
    }  # fmt: skip
    assert seen[reader]["statement"] == "SELECT count(*) FROM orders WHERE number = ?;"
    assert seen[schema_change]["wants"] == "AccessExclusiveLock"

    end, cancel = "Sessions end that others still wait for", "Schema changes that others wait behind are cancelled"
    assert json.loads(done(cluster, "lock_queue", cancel, {})) == [schema_change]
    eventually(lambda: states(cluster)[reader] == "idle" and looked(cluster, "lock_queue")["waiting"] == 1)
    assert json.loads(done(cluster, "lock_queue", end, {"idle_seconds": 60})) == []
    assert json.loads(done(cluster, "lock_queue", end, {"idle_seconds": 0})) == [root]
    eventually(lambda: looked(cluster, "lock_queue")["waiting"] == 0 and states(cluster)[writer] == "idle")
    # It gives back its locks first, and leaves then.
    eventually(lambda: root not in states(cluster))
    assert states(cluster)[innocent] == "idle in transaction"


@pytest.mark.slow
@real_postgresql
def test_what_holds_a_pool_that_is_waited_for_is_cancelled_and_then_ended(
    cluster: real.Cluster, sessions: list[Session]
) -> None:
    sessions += [Session(cluster, role, "SELECT pg_sleep(60)") for role in ("app", "other")]
    sessions += [Session(cluster, "app", "BEGIN", "SELECT 1"), Session(cluster, "app", "SELECT 1")]
    asleep, others, open_transaction, idle = (one.pid for one in sessions)
    expected = {asleep: "active", others: "active", open_transaction: "idle in transaction", idle: "idle"}
    eventually(lambda: states(cluster) == expected)
    place = {"member": "pg-a1", "pools": ["postgres/app", "postgres/nobody's"]}
    given: dict[str, t.Any] = {"place": place, "seconds": 60}
    cancel, end = "They are cancelled", "What goes on all the same ends with its session"
    assert json.loads(done(cluster, "pool_exhausted", cancel, given)) == []
    given["seconds"] = 0
    assert sorted(json.loads(done(cluster, "pool_exhausted", cancel, given))) == sorted([asleep, open_transaction])
    eventually(lambda: asleep not in states(cluster))  # this client gives up with its first error
    # Another member may know the same number.
    given["held"] = [{"member": "pg-a1", "pid": open_transaction}, {"member": "pg-a2", "pid": others}]
    assert json.loads(done(cluster, "pool_exhausted", end, given)) == [open_transaction]
    eventually(lambda: states(cluster) == {others: "active", idle: "idle"})


def typed(name: str, step: str, **parameters: str) -> list[str]:
    """The statements that somebody types in a step, whose shell knows these parameters."""
    [source] = [one for one in catalogue.sources() if one.folder == name]
    [found] = [one for one in source.document["steps"] if one["id"] == step]
    lines = [Template(command["run"]).substitute(parameters) for command in found["command"]]
    words = [shlex.split(line) for line in lines]
    return [line[place + 1] for line in words for place, word in enumerate(line) if word == "-XAtc"]


SUDO = """#!/bin/bash
while [[ $1 == -* ]]; do [[ $1 == -u ]] && shift; shift; done
exec "$@"
"""


def by_hand(folder: Path, name: str, step: str, psql: str, **parameters: str) -> list[str]:
    """What each command of a step says in a shell that knows these parameters, where ``psql`` is what psql does."""
    (folder / "bin").mkdir(exist_ok=True)
    for program, text in (("sudo", SUDO), ("psql", f"#!/bin/bash\n{psql}\n")):
        (folder / "bin" / program).write_text(text)
        (folder / "bin" / program).chmod(0o755)
    [source] = [one for one in catalogue.sources() if one.folder == name]
    [found] = [one for one in source.document["steps"] if one["id"] == step]
    environment = {**parameters, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    return [
        subprocess.run(
            ["bash", "-c", one["run"]], env=environment, capture_output=True, text=True, check=True, cwd="/"
        ).stdout
        for one in found["command"]
    ]


def real_psql(cluster: real.Cluster) -> str:
    return f'exec {shutil.which("psql")} -h {cluster.folder} -p {cluster.port} -U postgres -d postgres "$@"'


def test_by_hand_a_pool_is_a_database_and_a_role_whatever_these_are_called(tmp_path: Path) -> None:
    printing = "printf '%s\\n' \"$@\"; cat"
    [said] = by_hand(tmp_path, "pool_exhausted", "free", printing, POOL="Big orders/o'brien-2")
    assert "pool=Big orders/o'brien-2" in said.splitlines()
    assert "|| rolname = :'pool'" in said and said.count("brien") == 1


def test_by_hand_a_rule_that_refuses_is_known_by_its_method(tmp_path: Path) -> None:
    rules = tmp_path / "my rules.conf"
    refusing = ["host all app all reject", "host  all  app  all  reject  # for now"]
    others = ["hostssl reject_log app all scram-sha-256", "local all postgres peer", "host all app all reject"]
    rules.write_text("\n".join([*refusing, *others, ""]))
    by_hand(tmp_path, "application_locked_out", "put_back", f"echo {shlex.quote(str(rules))}")
    assert rules.read_text().splitlines() == others


@pytest.mark.slow
@real_postgresql
def test_by_hand_another_roles_pool_of_the_same_database_is_left_alone(
    cluster: real.Cluster, sessions: list[Session], tmp_path: Path
) -> None:
    sessions += [Session(cluster, role, "SELECT pg_sleep(60)") for role in ("app", "other")]
    asleep, others = (one.pid for one in sessions)
    # A session of the test before may last until its statement ends.
    eventually(lambda: [states(cluster).get(pid) for pid in (asleep, others)] == ["active", "active"])

    def cancelled(pool: str, *, standby: bool = False) -> list[str]:
        at_once = f"sed 's/3 s/0 s/; s/pg_is_in_recovery()/{str(standby).lower()}/' | {real_psql(cluster)}"
        [said] = by_hand(tmp_path, "pool_exhausted", "free", at_once, POOL=pool)
        return said.splitlines()

    # What readers hold, standbys hold.
    assert cancelled("postgres_readonly/app") == cancelled("postgres/app", standby=True) == []
    assert f"{asleep}|t" in cancelled("postgres_readonly/app", standby=True)
    eventually(lambda: [states(cluster).get(pid) for pid in (asleep, others)] == [None, "active"])
    assert f"{others}|t" in cancelled("postgres/other")


@pytest.mark.slow
@real_postgresql
def test_what_is_wrong_in_a_file_is_found_where_it_stands(cluster: real.Cluster) -> None:
    auto, own = cluster.folder / "data/postgresql.auto.conf", cluster.folder / "data/postgresql.conf"
    hba = cluster.folder / "data/pg_hba.conf"
    before = {path: path.read_text() for path in (auto, own, hba)}
    assert looked(cluster, "configuration_broken") == {"directory": str(own.parent), "wrong": [], "pending": []}
    try:
        cluster.write(auto, f"{before[auto]}max_connections = many\n")
        cluster.write(own, f"{before[own]}work_mem = plenty\nmax_wal_senders = 7\n")
        cluster.write(hba, f"host all app all reject\n{before[hba]}nonsense\n")
        cluster.sql("SELECT pg_reload_conf()")
        eventually(lambda: looked(cluster, "configuration_broken")["pending"] == ["max_wal_senders"])
        wrong = looked(cluster, "configuration_broken")["wrong"]
        assert {(one["file"], one["name"], one["known"]) for one in wrong} == {
            (str(auto), "max_connections", True), (str(own), "work_mem", True), (str(hba), None, False),
        }  # fmt: skip
        rules = looked(cluster, "application_locked_out")
        assert (rules["file"], rules["refusing"], len(rules["errors"])) == (str(hba), [1], 1)
        cluster.sql('ALTER SYSTEM RESET "max_connections"')
        assert str(auto) not in {one["file"] for one in looked(cluster, "configuration_broken")["wrong"]}
    finally:
        for path, text in before.items():
            cluster.write(path, text)
        cluster.sql("SELECT pg_reload_conf()")


@pytest.mark.slow
@real_postgresql
def test_by_hand_a_wrong_line_is_put_out_of_use_whatever_its_file_is_called(
    cluster: real.Cluster, tmp_path: Path
) -> None:
    own = cluster.folder / "data/postgresql.conf"
    theirs = cluster.folder / "data/the team's own settings.conf"
    before = own.read_text()
    try:
        cluster.write(theirs, "# ours\nwork_mem = plenty\n")
        cluster.write(own, f"{before}include 'the team''s own settings.conf'\n")
        by_hand(tmp_path, "configuration_broken", "put_back", real_psql(cluster))
        assert theirs.read_text() == "# ours\n#work_mem = plenty\n"
        assert looked(cluster, "configuration_broken")["wrong"] == []
    finally:
        cluster.write(own, before)
        cluster.sql("SELECT pg_reload_conf()")


@pytest.mark.slow
@real_postgresql
def test_by_hand_what_a_restore_has_left_to_a_restart_is_not_wrong(cluster: real.Cluster) -> None:
    [applied] = typed("configuration_broken", "applied")
    assert cluster.sql(applied) == ""
    try:
        cluster.sql("ALTER SYSTEM SET recovery_target_timeline = 'current'")
        cluster.sql("SELECT pg_reload_conf()")
        eventually(
            lambda: cluster.sql("SELECT name FROM pg_settings WHERE pending_restart") == "recovery_target_timeline"
        )
        assert cluster.sql("SELECT name FROM pg_file_settings WHERE error IS NOT NULL") == "recovery_target_timeline"
        assert cluster.sql(applied) == ""
    finally:
        cluster.sql("ALTER SYSTEM RESET recovery_target_timeline")
        cluster.sql("SELECT pg_reload_conf()")


def test_what_takes_shared_memory_is_told_from_what_uses_it(tmp_path: Path) -> None:
    # A name may hold signs that a pattern reads otherwise.
    for name, size in {"left": 2, "used [1]": 3, "PostgreSQL.42": 4}.items():
        (tmp_path / name).write_bytes(bytes(size * 1024 * 1024))
    (tmp_path / "small").write_bytes(b"x")
    path = catalogue.RUNBOOKS / "shared_memory_full" / "tasks" / "look.yml"
    [task, *_others] = yaml.safe_load(path.read_text(encoding="utf-8"))
    script = task["ansible.builtin.shell"]["cmd"].replace("/dev/shm", str(tmp_path))
    with (tmp_path / "used [1]").open("rb"):
        said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [int(word) > 0 for word in said[0].split()] == [True, True]
    found = {file: (size, used) for size, _owner, used, file in (line.split(" ", 3) for line in said[1:])}
    assert found == {str(tmp_path / "left"): ("2097152", "no"), str(tmp_path / "used [1]"): ("3145728", "yes")}

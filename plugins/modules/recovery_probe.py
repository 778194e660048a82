#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe of an observer: start it, wait with it, judge what it wrote down."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_probe
short_description: Commit rows as a client does, and compare what was acknowledged with what is there
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Runs on an observer that role P(fraiseql.resilience.observer#role) has set up.
  - The probe is a service with several client processes. Each commits one row an interval through the gateway, and
    what became of it is on disk before the next one. An attempt that hangs is ended by killing its client.
  - Every time that ends in C(_ns) is CLOCK_MONOTONIC of the observer in nanoseconds; durations are in seconds. The
    resolution of what is measured is O(interval_seconds).
  - A probe stops by itself after O(max_seconds), so that a cut-off playbook leaves none behind.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  state:
    description:
      - V(prepared) makes the probe's schema and tables through the gateway.
      - V(started) starts a new run and returns once every client had a commit acknowledged. If it runs already with the
        same settings, nothing changes.
      - V(outage_awaited) returns once the probe has detected an outage (T3).
      - V(recovered_awaited) returns once every client has commits acknowledged again (T8), also if there was no outage.
      - V(reported) only tells.
      - V(stopped) ends the run.
      - V(collected) ends the run, reads the rows back from the primary, and compares the four sets.
    type: str
    choices: [prepared, started, outage_awaited, recovered_awaited, reported, stopped, collected]
    default: reported
  name:
    description: Which probe; several may run next to each other.
    type: str
    default: probe
  descriptor:
    description: The file that role observer wrote.
    type: path
    default: /etc/fraiseql-resilience/observer.json
  clients:
    description: How many clients, for O(state=started).
    type: int
    default: 4
  interval_seconds:
    description: Seconds between the begins of two attempts of one client, for O(state=started).
    type: float
    default: 0.05
    aliases: [interval]
  attempt_deadline_seconds:
    description: Seconds after which an attempt is given up and its client killed, for O(state=started).
    type: float
    default: 3.0
  detect_after_seconds:
    description:
      - Seconds without an acknowledged commit of any client after which an outage is declared, if at least three
        attempts failed or hang, for O(state=started).
      - It is declared at once when every client was refused five times in a row.
    type: float
    default: 1.0
  max_seconds:
    description: Seconds after which a run ends by itself; what it wrote down then proves nothing. For O(state=started).
    type: float
    default: 7200.0
  timeout:
    description: Seconds to wait at most for what O(state) says.
    type: float
    default: 30.0
  since_ns:
    description:
      - Only outages that were detected after this moment count, for O(state=outage_awaited) and
        O(state=recovered_awaited). Take RV(clock.monotonic_ns) of a task before the fault.
      - Without it, an outage counts that is not over when the task begins, or begins later.
    type: int
  cut:
    description:
      - For O(state=collected) after a restore to a point in time, so that rows after that point count as discarded by
        decision and must be absent.
    type: dict
    suboptions:
      lsn:
        description: The LSN where recovery stopped, a record's boundary.
        type: str
        required: true
      timeline:
        description: The timeline that O(cut.lsn) lies on, and that was left behind.
        type: int
        required: true
      inclusive:
        description: PostgreSQL's C(recovery_target_inclusive) of that recovery.
        type: bool
        default: true
  read_from:
    description:
      - Name of the member to read the rows from, for O(state=collected). Without it they are read through the gateway.
    type: str
attributes:
  idempotent:
    support: partial
    details: O(state=collected) judges the same run again, and changes nothing the second time.
seealso:
  - module: fraiseql.resilience.recovery_objectives
  - module: fraiseql.resilience.recovery_marker
"""

EXAMPLES = r"""
- name: Clients write
  fraiseql.resilience.recovery_probe:
    state: started
    name: drill
  register: probe_started

- name: The outage is detected
  fraiseql.resilience.recovery_probe:
    state: outage_awaited
    name: drill
    since_ns: "{{ probe_started.clock.monotonic_ns }}"
    timeout: 60
  register: detected

- name: All clients commit again
  fraiseql.resilience.recovery_probe:
    state: recovered_awaited
    name: drill
    since_ns: "{{ probe_started.clock.monotonic_ns }}"
    timeout: 120

- name: What was acknowledged is compared with what is there
  fraiseql.resilience.recovery_probe:
    state: collected
    name: drill
  register: collected

- name: The same after a restore to a point in time
  fraiseql.resilience.recovery_probe:
    state: collected
    name: drill
    cut:
      lsn: 0/5000148
      timeline: 3
"""

RETURN = r"""
active:
  description: Whether the probe runs now.
  returned: always
  type: bool
clock:
  description: The observer's clock when the task ended.
  returned: always
  type: dict
  contains:
    monotonic_ns:
      description: CLOCK_MONOTONIC in nanoseconds.
      returned: always
      type: int
    boot_id:
      description: The boot that this clock counts from.
      returned: always
      type: str
    utc:
      description: The wall clock, as a label.
      returned: always
      type: str
status:
  description: What the probe last said of itself (run, outcomes, last_error, outages …).
  returned: if there was ever a run since the observer booted
  type: dict
ledger:
  description: Path of the newest run's ledger on the observer.
  returned: if there was ever a run
  type: str
outage:
  description: >-
    t1_ns last acknowledged commit before, t2_ns first failed attempt, t3_ns detected, rule that detected it, t7_ns
    first acknowledged commit after, t8_ns every client is back.
  returned: for outage_awaited and recovered_awaited
  type: dict
lost_rows:
  description:
    - Path of a file on the observer that names every lost row, one a line, in the words of the ledger.
  returned: for collected, if rows are lost
  type: str
probe:
  description: >-
    What the ledger says: run, interval_seconds, clients, outcomes, gaps, longest_stall_seconds, sets (lost, phantom,
    hole, in_doubt, discarded, undead, at_cut), rpo (transactions, seconds, wal_bytes), rows. Input of
    M(fraiseql.resilience.recovery_objectives).
  returned: for collected
  type: dict
checks:
  description: Each thing that was looked at, as name, verdict and reason.
  returned: for collected
  type: list
  elements: dict
verdict:
  description: V(passed), V(failed) or V(unknown).
  returned: for collected
  type: str
"""

import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import monotonic_ns
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import probe_rows
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    ResilienceError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import probe_account
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.ledger import Cut
from ansible_collections.fraiseql.resilience.plugins.module_utils.probe_control import LOST, ProbeControl, clock_now

RUN_OPTIONS = ("clients", "interval_seconds", "attempt_deadline_seconds", "detect_after_seconds", "max_seconds")


def argument_spec() -> dict[str, t.Any]:
    states = ["prepared", "started", "outage_awaited", "recovered_awaited", "reported", "stopped", "collected"]
    return {
        "state": {"type": "str", "choices": states, "default": "reported"},
        "name": {"type": "str", "default": "probe"},
        "descriptor": {"type": "path", "default": probe_rows.DESCRIPTOR},
        "clients": {"type": "int", "default": 4},
        "interval_seconds": {"type": "float", "default": 0.05, "aliases": ["interval"]},
        "attempt_deadline_seconds": {"type": "float", "default": 3.0},
        "detect_after_seconds": {"type": "float", "default": 1.0},
        "max_seconds": {"type": "float", "default": 7200.0},
        "timeout": {"type": "float", "default": 30.0},
        "since_ns": {"type": "int"},
        "cut": {
            "type": "dict",
            "options": {
                "lsn": {"type": "str", "required": True},
                "timeline": {"type": "int", "required": True},
                "inclusive": {"type": "bool", "default": True},
            },
        },
        "read_from": {"type": "str"},
    }


def prepared(module: AnsibleModule, observer: probe_rows.Observer) -> dict[str, t.Any]:
    made = probe_rows.prepare(
        command.run, observer.connection(), timeout=module.params["timeout"], check_mode=module.check_mode
    )
    return {"changed": made}


def started(module: AnsibleModule, control: ProbeControl, observer: probe_rows.Observer) -> dict[str, t.Any]:
    settings = {option: module.params[option] for option in RUN_OPTIONS}
    for option, value in settings.items():
        if value <= 0:
            raise InputError(f"{option} must be more than 0", given=value)
    settings["connection"] = {**observer.connection(), "application_name": f"probe-{control.name}"}
    changed = control.start(settings, check_mode=module.check_mode, timeout=module.params["timeout"])
    return {"changed": changed}


def awaited(module: AnsibleModule, control: ProbeControl) -> dict[str, t.Any]:
    if module.check_mode:
        return {"changed": False, "outage": None}
    since_ns = module.params["since_ns"]
    wait = control.await_outage if module.params["state"] == "outage_awaited" else control.await_recovery
    since_ns = monotonic_ns() if since_ns is None else since_ns
    return {"changed": False, "outage": wait(since_ns=since_ns, timeout=module.params["timeout"])}


def collected(module: AnsibleModule, control: ProbeControl, observer: probe_rows.Observer) -> dict[str, t.Any]:
    cut = None
    if module.params["cut"] is not None:
        try:
            cut = Cut.of(module.params["cut"])
        except ValueError as error:
            raise InputError(f"the cut is wrong: {error}", given=module.params["cut"]) from error
    path = control.ledger_path()
    if path is None:
        raise InputError(f"there never was a probe named {control.name} on this host", next_step="state=started")
    connection = observer.connection(module.params["read_from"])
    changed = control.stop(check_mode=module.check_mode)
    if module.check_mode:
        return {"changed": changed}
    lost = path.with_suffix(LOST)
    lost.unlink(missing_ok=True)
    answer = judged(path, connection, cut, module.params["timeout"], lost)
    if lost.exists():
        answer["lost_rows"] = str(lost)
    return {"changed": changed, **answer}


def judged(path: Path, connection: dict[str, t.Any], cut: Cut | None, timeout: float, lost: Path) -> dict[str, t.Any]:
    """Read both sides and compare them. Rows that cannot be read make the verdict unknown, not the task failed."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UnknownError(f"the ledger {path} cannot be read: {error.strerror}", changed=True) from error
    run_id = probe_account.run_of(lines)
    rows, why_unread = None, "the ledger does not say which run it is of"
    if run_id is not None:
        try:
            rows = probe_rows.read_rows(command.run, connection, run_id, timeout=timeout)
        except ResilienceError as error:
            why_unread = f"the rows could not be read: {error.message}"
    return probe_account.account(lines, rows, cut=cut, why_unread=why_unread, keep_lost=lost.write_text)


def act(module: AnsibleModule) -> dict[str, t.Any]:
    state = module.params["state"]
    control = ProbeControl(module.params["name"], command.run)
    if state == "prepared":
        answer = prepared(module, probe_rows.Observer.read(module.params["descriptor"]))
    elif state == "started":
        answer = started(module, control, probe_rows.Observer.read(module.params["descriptor"]))
    elif state == "collected":
        answer = collected(module, control, probe_rows.Observer.read(module.params["descriptor"]))
    elif state == "stopped":
        answer = {"changed": control.stop(check_mode=module.check_mode)}
    elif state == "reported":
        answer = {"changed": False}
    else:
        answer = awaited(module, control)
    ledger = control.ledger_path()
    told = {"status": control.status(), "ledger": None if ledger is None else str(ledger)}
    answer.update({key: value for key, value in told.items() if value is not None})
    return {**answer, "active": control.active(), "clock": clock_now()}


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

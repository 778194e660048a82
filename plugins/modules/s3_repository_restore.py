#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module s3_repository_restore; judge/object_versions.py plans, collect/s3.py does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_repository_restore
short_description: Bring a repository back that was deleted or overwritten in a versioned bucket
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Makes each object of the repository again what it was before O(before). A marker that hides the right version is
    taken away; where something was written over it, the right version is copied to be the current one.
  - What did not exist then keeps what pgBackRest wrote first under its name, as a cluster goes on archiving while its
    repository is destroyed.
  - No version is ever deleted, so that a wrong O(before) is corrected by another one, and what happened can be looked
    into.
  - Works with every version of pgBackRest. Its own C(repo-target-time), from 2.54 on, restores a cluster from such a
    bucket without bringing anything back, for whoever has no key that may write.
  - A run that was cut off goes on where it stopped. Take the stolen key away first; nothing here keeps it from being
    used again.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
  - fraiseql.resilience.s3
options:
  before:
    description:
      - The moment, with its offset from UTC. What was written in its own second is not from before it.
      - By default that of the first damage, as M(fraiseql.resilience.s3_repository_info) tells it.
    type: str
  retention_days:
    description: Days for which backups are kept; a backup that was deleted later than that is not damage.
    type: float
    default: 30.0
  hide_newer:
    description: Whether what did not exist then is hidden by a marker instead, as where files were smuggled in.
    type: bool
    default: false
  workers:
    description: How many objects are brought back at a time.
    type: int
    default: 8
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
    details: RV(steps) tells what would be brought back.
seealso:
  - module: fraiseql.resilience.s3_repository_info
"""

EXAMPLES = r"""
- name: The repository is again what it was before it was encrypted
  fraiseql.resilience.s3_repository_restore:
    endpoint: s3.eu-west-3.amazonaws.com
    region: eu-west-3
    bucket: orders-backups
    access_key: "{{ vault_s3_owner_key }}"
    secret_key: "{{ vault_s3_owner_secret }}"
    before: 2026-11-26 09:41:07+00
  delegate_to: localhost
"""

RETURN = r"""
before:
  description: The moment that was restored to; null where none was given and nothing is damaged.
  returned: success
  type: str
  sample: "2026-11-26 09:41:07+00"
objects:
  description: How many objects were brought back, or would be in check mode.
  returned: success
  type: int
  sample: 412
bytes:
  description: Their size in bytes.
  returned: success
  type: int
  sample: 73400320
actions:
  description: How many had a marker taken away (unmark), were copied (copy), or were hidden (hide).
  returned: success
  type: dict
  sample: {unmark: 400, copy: 12, hide: 0}
steps:
  description: The first hundred of them, by name.
  returned: success
  type: list
  elements: dict
  sample: [{action: copy, key: pgbackrest/archive/orders/archive.info, version: 3sL4kqtJlcpXroDTDmJ, size: 368}]
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import s3
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import object_versions
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import parse_time, utc

#: Steps that are told.
TOLD = 100
#: How often what is there is looked at again: a store may tell two markers of the same second in either order.
ROUNDS = 4
#: Seconds after which a store's clock, which shows whole ones, tells what was written from what was there before.
GRAIN = 1.1


def argument_spec() -> dict[str, t.Any]:
    return {
        **s3.argument_spec(),
        "before": {"type": "str"},
        "retention_days": {"type": "float", "default": 30.0},
        "hide_newer": {"type": "bool", "default": False},
        "workers": {"type": "int", "default": 8},
    }


def act(params: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """The module's answer.

    :raises InputError: the moment cannot be understood, or the bucket keeps no versions.
    :raises UnknownError: the versions cannot be read, or objects are not what they should be in the end.
    """
    given = parse_time(params["before"]) if params["before"] else None
    store = s3.Store.of(params)
    s3.demand_reached(store)
    s3.demand_versioned(store)
    found = look(store, params)
    before = given if given is not None else first_damage(found, params["retention_days"])
    first = steps_of(found, params, before)
    if not check_mode:
        carry_out(store, params, before, first)
    return answer(before, first)


def look(store: s3.Store, params: dict[str, t.Any]) -> object_versions.Objects:
    return s3.with_origins(store, s3.objects(store), params["workers"])


def first_damage(found: object_versions.Objects, retention_days: float) -> float | None:
    damages = object_versions.damages(found, retention_days)
    return damages[0].at if damages else None


def steps_of(
    found: object_versions.Objects, params: dict[str, t.Any], before: float | None
) -> list[object_versions.Step]:
    """What is left to do: bring back first, then see that the WAL which was archived last is the newest."""
    planned = [] if before is None else object_versions.plan(found, before, params["hide_newer"])
    return planned or object_versions.overtaken(found)


def carry_out(
    store: s3.Store, params: dict[str, t.Any], before: float | None, steps: list[object_versions.Step]
) -> None:
    """Take the steps, look again, and go on until nothing is left.

    :raises UnknownError: something is left after all.
    """
    for _round in range(ROUNDS):
        if not steps:
            return
        time.sleep(GRAIN)
        s3.take(store, steps, params["workers"])
        steps = steps_of(look(store, params), params, before)
    if steps:
        raise UnknownError(
            f"{len(steps)} objects are not what they were, the first is {steps[0].key}",
            next_step="see that nobody writes to the bucket with the stolen key, then run this again",
            changed=True,
        )


def answer(before: float | None, steps: list[object_versions.Step]) -> dict[str, t.Any]:
    actions = ("unmark", "copy", "hide")
    return {
        "changed": bool(steps),
        "before": None if before is None else utc(before),
        "objects": len(steps),
        "bytes": sum(step.version.size for step in steps if step.version is not None),
        "actions": {action: sum(step.action == action for step in steps) for action in actions},
        "steps": [step.as_dict() for step in steps[:TOLD]],
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    if s3.MISSING is not None:
        module.fail_json(msg=missing_required_lib("boto3"), exception=s3.MISSING)
    try:
        module.exit_json(**act(module.params, check_mode=module.check_mode))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

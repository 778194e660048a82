#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module s3_repository_info; collect/s3.py and s3_bucket.py ask, judge/s3_repository.py and two beside it judge."""

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_repository_info
short_description: Tell whether the repository in an object store would survive stolen credentials
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Asks the store for versioning, object lock, encryption, policy, access control list and lifecycle of the bucket, and
    tries what must be refused; to read without a key, and to destroy versions with the cluster's key.
  - Looks at every version of every object for what somebody else than pgBackRest deleted or overwrote, and since when.
  - With O(window), compares the repository's age and completeness with the first one's.
  - What a store does not implement, or does not tell, is V(unknown) in the store's own words.
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
  - fraiseql.resilience.s3
options:
  retention_days:
    description: Days for which backups are kept, so for which nothing may be removed.
    type: float
    required: true
  writer_key:
    description: Key of the cluster, with which pgBackRest writes; what it may destroy is tried.
    type: str
  writer_secret:
    description: Secret of that key.
    type: str
  window:
    description: What M(fraiseql.resilience.recovery_window) said of all repositories, where pgBackRest is.
    type: dict
  repo:
    description: Number of the repository in the bucket.
    type: int
    default: 2
  backup_age_days:
    description: Days that its newest backup may be old.
    type: float
    default: 8.0
  wal_age_seconds:
    description: Seconds for which it may lack WAL that repository 1 has.
    type: float
    default: 300.0
seealso:
  - module: fraiseql.resilience.s3_repository_restore
  - module: fraiseql.resilience.recovery_window
"""

EXAMPLES = r"""
- name: What can really be restored
  fraiseql.resilience.recovery_window:
    stanza: orders
  delegate_to: repo-a
  register: window

- name: The second repository survives whoever steals the cluster's key
  fraiseql.resilience.s3_repository_info:
    endpoint: s3.eu-west-3.amazonaws.com
    region: eu-west-3
    bucket: orders-backups
    access_key: "{{ vault_s3_owner_key }}"
    secret_key: "{{ vault_s3_owner_secret }}"
    writer_key: "{{ pgbackrest_s3_key }}"
    writer_secret: "{{ pgbackrest_s3_key_secret }}"
    retention_days: 30
    window: "{{ window }}"
  delegate_to: localhost
  register: audit
  failed_when: audit.verdict != 'passed'
"""

RETURN = r"""
verdict:
  description: The worst of RV(checks).
  returned: success
  type: str
  sample: passed
checks:
  description: What was looked at and tried, with verdict and reason.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: versioning, verdict: passed, reason: "what is overwritten or deleted stays as an older version"}
    - {name: object_lock, verdict: failed, reason: "each version is locked for 7 days, and backups are kept for 30"}
damaged:
  description:
    - How many objects are deleted or overwritten that pgBackRest would have kept.
    - Null where nobody could look.
  returned: success
  type: int
  sample: 0
damaged_since:
  description: When the first of them was; everything from before it can be brought back. Null where there is none.
  returned: success
  type: str
  sample: "2026-11-26 09:41:07+00"
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import s3, s3_bucket
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import object_versions, s3_repository
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.s3_repository import Told
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.second_repository import Demand
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import worst
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import utc


def argument_spec() -> dict[str, t.Any]:
    return {
        **s3.argument_spec(),
        "retention_days": {"type": "float", "required": True},
        "writer_key": {"type": "str", "no_log": True},
        "writer_secret": {"type": "str", "no_log": True},
        "window": {"type": "dict"},
        "repo": {"type": "int", "default": 2},
        "backup_age_days": {"type": "float", "default": 8.0},
        "wal_age_seconds": {"type": "float", "default": 300.0},
    }


def act(params: dict[str, t.Any], now: float) -> dict[str, t.Any]:
    """The module's answer. ``now``: seconds since 1970."""
    store = s3.Store.of(params)
    demand = Demand(
        retention_days=params["retention_days"],
        prefix=store.prefix,
        repo=params["repo"],
        backup_age_days=params["backup_age_days"],
        wal_age_seconds=params["wal_age_seconds"],
    )
    problem, words = s3.reach(store)
    checks = s3_repository.reached(problem, words)
    damages: list[object_versions.Damage] | None = None
    if problem:
        bucket = s3_repository.Bucket()
    else:
        bucket, damages = look(store, params, demand)
    checks += s3_repository.judge(bucket, demand, params["window"], now)
    return {
        "changed": False,
        "verdict": worst(checks).value,
        "checks": [check.as_dict() for check in checks],
        "damaged": None if damages is None else len(damages),
        "damaged_since": utc(damages[0].at) if damages else None,
    }


def look(
    store: s3.Store, params: dict[str, t.Any], demand: Demand
) -> tuple[s3_repository.Bucket, list[object_versions.Damage] | None]:
    """What the store tells, and what is damaged; None where it does not list versions."""
    writer = store.asked_by(params["writer_key"], params["writer_secret"]) if params["writer_key"] else None
    try:
        objects = s3.with_origins(store, s3.objects(store))
    except UnknownError as error:
        return s3_bucket.bucket_facts(store, writer, Told(known=False, words=error.message)), None
    damages = object_versions.damages(objects, demand.retention_days)
    return s3_bucket.bucket_facts(store, writer, Told(objects), Told(damages)), damages


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        required_together=[("writer_key", "writer_secret")],
        supports_check_mode=True,
    )
    if s3.MISSING is not None:
        module.fail_json(msg=missing_required_lib("boto3"), exception=s3.MISSING)
    try:
        module.exit_json(**act(module.params, time.time()))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

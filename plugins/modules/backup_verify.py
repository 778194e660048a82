#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module backup_verify; module_utils/verification.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_verify
short_description: Restore a backup into a throw-away place, and compare it with what the cluster held
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Restores a backup to the LSN of a manifest that M(fraiseql.resilience.content_manifest) left in the repository, and
    looks at everything that can be lost on the way, from rows to passwords.
  - The copy can never hurt the cluster. It archives nothing, follows nobody, listens only on a socket in its own
    folder, reads the repository through a configuration of its own, and ends with the process that made it, also where
    that is killed. Whatever is left in O(directory) is removed by the next run.
  - Runs on a host that has PostgreSQL's server programs and reaches the repository with its key. That is the
    repository host unless said otherwise.
  - What it found is appended to C(/var/lib/fraiseql-resilience/verifications/<stanza>/results.jsonl).
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  check_mode:
    details: In check mode it tells what would be restored, and whether there is room.
  idempotent:
    support: none
    details: Each run verifies again. Nothing of the cluster is changed.
options:
  stanza:
    description: The stanza's name.
    type: str
    required: true
  repo:
    description: Number of the repository. Backup, WAL and manifest all come from it.
    type: int
    default: 1
  level:
    description:
      - V(quick) walks the chain of WAL, reads every file of the repository, and asks the catalogue of backups.
      - V(standard) restores. Recovery, markers, content, heaps, indexes, page checksums, configuration are looked at.
      - V(full) does both. Each row is looked for in each of its indexes, and what was only counted is V(unknown).
    type: str
    choices: [quick, standard, full]
    default: standard
  manifest:
    description: Name of the manifest in the repository. By default the newest that the repository's WAL reaches.
    type: str
  present:
    description: Names of markers that were written before the manifest was taken.
    type: list
    elements: str
    default: []
  absent:
    description: Names of markers that were written after it.
    type: list
    elements: str
    default: []
  marker_database:
    description: Database that holds the markers, those of M(fraiseql.resilience.recovery_marker).
    type: str
    default: resilience
  rto_seconds:
    description: Seconds that restore and replay may take. More is V(failed).
    type: float
  directory:
    description: Where the copy is made. It belongs to O(user), and nothing else is kept in it.
    type: path
    default: /var/lib/fraiseql-resilience/scratch
  keep_on_failure:
    description: Whether the files of a copy that did not pass are left for a look. The next run removes them.
    type: bool
    default: false
  configuration:
    description: This host's configuration of pgBackRest, from which the repository's options are taken.
    type: path
    default: /etc/pgbackrest.conf
  restore_command:
    description: The guarded program that fetches WAL, which role P(fraiseql.resilience.verification#role) installs.
    type: path
    default: /usr/local/lib/fraiseql-resilience/restore_wal.py
  bin_dir:
    description: Directory of PostgreSQL's programs. By default the one that this host's descriptor names.
    type: path
  user:
    description: Operating system user that runs pgBackRest and the copy.
    type: str
    default: postgres
  timeout:
    description: Seconds that all of it may take.
    type: float
    default: 86400.0
seealso:
  - module: fraiseql.resilience.content_manifest
  - module: fraiseql.resilience.recovery_window
"""

EXAMPLES = r"""
- name: The newest manifest is restored and compared
  fraiseql.resilience.backup_verify:
    stanza: orders
    rto_seconds: 3600
  register: verified
  failed_when: verified.verdict != 'passed'

- name: Every row, out of the second region
  fraiseql.resilience.backup_verify:
    stanza: orders
    repo: 2
    level: full
"""

RETURN = r"""
verdict:
  description: The worst of all checks.
  returned: success
  type: str
  sample: passed
checks:
  description: What was looked at, each with C(name), C(verdict) and C(reason).
  returned: success
  type: list
  elements: dict
  sample:
    - name: "content: tables"
      verdict: failed
      reason: "app: public.orders has 999 rows and had 1000"
not_tested:
  description: What the verification proves nothing about.
  returned: success
  type: list
  elements: str
label:
  description: The backup that was restored.
  returned: success
  type: str
target:
  description: Where the recovery ended, as C(type) and C(value).
  returned: success
  type: dict
  sample: {type: lsn, value: 0/5145B48}
manifest:
  description: The manifest that it was compared with.
  returned: success
  type: str
seconds:
  description: Seconds of all of it (C(total)), and of C(restore), C(replay) and C(checks). None for what did not end.
  returned: success
  type: dict
  sample: {total: 21.4, restore: 7.6, replay: 3.2, checks: 8.9}
restored_bytes:
  description: Bytes of the database that was restored.
  returned: success
  type: int
replayed_bytes:
  description: Bytes of WAL from the backup's start to the target.
  returned: success
  type: int
predicted_seconds:
  description: Seconds that it would take, by the rates of the last one on this host; none where there was none.
  returned: in check mode
  type: float
room:
  description: Bytes that the copy needs (C(needed_bytes)) and that there are (C(free_bytes)).
  returned: where something is restored
  type: dict
"""

import json
import socket
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command, verification
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import scratch
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verification import LEVELS
from ansible_collections.fraiseql.resilience.plugins.module_utils.verified_copy import Order

DESCRIPTOR = Path("/etc/fraiseql-resilience/repository.json")


def argument_spec() -> dict[str, t.Any]:
    return {
        "stanza": {"type": "str", "required": True},
        "repo": {"type": "int", "default": 1},
        "level": {"type": "str", "choices": list(LEVELS), "default": "standard"},
        "manifest": {"type": "str"},
        "present": {"type": "list", "elements": "str", "default": []},
        "absent": {"type": "list", "elements": "str", "default": []},
        "marker_database": {"type": "str", "default": "resilience"},
        "rto_seconds": {"type": "float"},
        "directory": {"type": "path", "default": str(scratch.ROOT)},
        "keep_on_failure": {"type": "bool", "default": False},
        "configuration": {"type": "path", "default": scratch.CONFIGURATION},
        "restore_command": {"type": "path", "default": scratch.RESTORE_WAL},
        "bin_dir": {"type": "path"},
        "user": {"type": "str", "default": "postgres"},
        "timeout": {"type": "float", "default": 86400.0},
    }


def place_of(params: dict[str, t.Any]) -> scratch.Place:
    """Where on this host, with which programs.

    :raises InputError: nothing says where PostgreSQL's programs are.
    """
    bin_dir = params["bin_dir"]
    if not bin_dir:
        try:
            bin_dir = json.loads(DESCRIPTOR.read_text(encoding="utf-8"))["bin_dir"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"this host does not say where PostgreSQL's programs are: {error}",
                next_step="run the site playbook on it, or give bin_dir",
            ) from error
    return scratch.Place(
        bin_dir, params["user"], Path(params["directory"]), params["configuration"], params["restore_command"]
    )


def act(params: dict[str, t.Any], *, check_mode: bool, run: command.Runner) -> dict[str, t.Any]:
    order = Order(
        stanza=params["stanza"],
        repo=params["repo"],
        level=params["level"],
        manifest=params["manifest"],
        present=tuple(params["present"]),
        absent=tuple(params["absent"]),
        marker_database=params["marker_database"],
        rto_seconds=params["rto_seconds"],
        timeout=params["timeout"],
        keep_on_failure=params["keep_on_failure"],
        by="playbook",
        host=socket.gethostname(),
    )
    place = place_of(params)
    answer = verification.verify(order, place, run=run, dry=check_mode)
    if not check_mode:
        verification.record(answer, place)
    return {**answer, "changed": False}


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, check_mode=module.check_mode, run=command.run))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()

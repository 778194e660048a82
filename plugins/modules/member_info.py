#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module member_info; module_utils/collect/member.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: member_info
short_description: See a member from its own host, also while its PostgreSQL is down
version_added: 0.1.0
author:
  - FraiseQL contributors (@fraiseql)
description:
  - Tells what M(fraiseql.resilience.cluster_info) cannot see from outside, such as what the control file of a stopped
    member says, whether it is masked, and what earlier operations have left on its host.
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  descriptor:
    description: The file that names this member; role P(fraiseql.resilience.postgresql#role) writes it.
    type: path
    default: /etc/fraiseql-resilience/member.json
"""

EXAMPLES = r"""
- name: Look at each member from within
  fraiseql.resilience.member_info:
  register: within
"""

RETURN = r"""
name:
  description: The member.
  returned: success
  type: str
  sample: pg-a1
role:
  description: V(primary) or V(standby), as its server says; none where nobody answers.
  returned: success
  type: str
  sample: standby
unit:
  description: PostgreSQL's unit, with name, active and enabled in systemd's words. C(masked) if it cannot be started.
  returned: success
  type: dict
  sample: {name: postgresql@17-main.service, active: inactive, enabled: masked}
control:
  description: >-
    The control file, none if there are no data. It holds state, system_id, timeline, checkpoint_lsn, min_recovery_lsn,
    min_recovery_timeline, checksums and wal_segment_bytes; if it cannot be read, state is none and reason says why.
  returned: success
  type: dict
signals:
  description: Which of standby.signal, recovery.signal and backup_label are there.
  returned: success
  type: list
  elements: str
data_dir:
  description: The data directory.
  returned: success
  type: str
free_bytes:
  description: Room on its file system.
  returned: success
  type: int
left_over:
  description: >-
    What earlier operations left. fenced, promotion_armed and demotion_armed are true or false; rejoin_begun names what
    was cut off, if anything; kept_data and diverged_wal are folders.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import member
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError


def main() -> None:
    module = AnsibleModule(
        argument_spec={"descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/member.json"}},
        supports_check_mode=True,
    )
    try:
        facts = member.facts(armed.member(module.params["descriptor"]), run=run)
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()

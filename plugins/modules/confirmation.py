#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: confirmation
short_description: Refuse a destructive operation that does not name and confirm exactly one known cluster
description:
  - A cluster is an inventory group that holds hosts of each group in O(functions).
  - Fails before anything is touched when no cluster is named, when the name is unknown, or, outside check mode,
    when it was not confirmed by repeating that very name. There is no prompt, so it works from AWX as from a shell.
  - Fails as well when words after C(-e) belong to no variable. A value with blanks ends at the first one unless it has
    quotes of its own, so a reason would be recorded by its first word.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  state:
    description:
      - V(asked) asks for the confirmation.
      - V(given) fails unless this run has opened evidence, which it does only once it was confirmed and approved. The
        first task of each play that changes something, for C(--limit) leaves out the play on localhost that asks.
    type: str
    choices: [asked, given]
    default: asked
  cluster:
    description: The cluster that the operation is for.
    type: str
  confirmation:
    description: The same name again, given by the operator. Not needed in check mode.
    type: str
  functions:
    description: The groups by function that a cluster cannot be without.
    type: list
    elements: str
    default: [members, observers]
"""

EXAMPLES = r"""
- name: One known cluster is named and confirmed
  fraiseql.resilience.confirmation:
    cluster: "{{ resilience_cluster | default(omit) }}"
    confirmation: "{{ resilience_confirm | default(omit) }}"

- name: Nobody left the confirmation out
  fraiseql.resilience.confirmation:
    state: given
"""

RETURN = r"""
cluster:
  description: The confirmed cluster's name; null for O(state=given) in check mode, where no evidence is opened.
  returned: success
  type: str
  sample: orders
known:
  description: All clusters of the inventory.
  returned: success
  type: list
  elements: str
  sample: [orders, billing]
"""

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the evidence on the control node says, for Prometheus."""

from __future__ import annotations

DOCUMENTATION = r"""
name: operation_metrics
short_description: Drills and recoveries of a cluster, as Prometheus reads them
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Reads the reports in a folder of evidence on the control node, and gives their times, verdicts, RTO and RPO in
    Prometheus' text format, the newest fifty. What is not as it was sealed proves nothing and is left out.
options:
  _terms:
    description: The folder.
    required: true
  cluster:
    description: The cluster whose operations are told.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: The observer's page knows of all drills
  ansible.builtin.copy:
    content: "{{ lookup('fraiseql.resilience.operation_metrics', 'evidence', cluster='orders') }}"
    dest: /var/lib/prometheus/node-exporter/resilience_operations.prom
    mode: "0644"
"""

RETURN = r"""
_raw:
  description: The text; empty where there is no evidence.
  type: list
  elements: str
"""

import typing as t
from pathlib import Path

from ansible.plugins.lookup import LookupBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import operation_metrics
from ansible_collections.fraiseql.resilience.plugins.module_utils.prometheus import exposition
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import sealed


class LookupModule(LookupBase):
    """Runs on the control node, where the evidence is."""

    def run(self, terms: list[str], variables: t.Any = None, **options: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=options)
        cluster = self.get_option("cluster")
        return [exposition(operation_metrics.metrics(_reports(Path(folder), cluster))) for folder in terms]


def _reports(folder: Path, cluster: str) -> dict[str, t.Any]:
    return {found.name: report for found, report in sealed.reports(folder, cluster)[0].items()}

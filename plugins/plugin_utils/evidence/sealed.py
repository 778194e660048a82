# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of a folder of evidence that are what was sealed: others prove nothing, and are named. Control node only."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import bundle, signature

#: So many are looked at, the newest; each is checked against its manifest.
NEWEST = 100

Report = dict[str, t.Any]


def reports(directory: Path, cluster: str, operation: str = "*") -> tuple[dict[Path, Report], list[str]]:
    """By folder, the newest first, each report about the cluster; and why others are none, in words."""
    found, problems = {}, []
    newest = sorted(directory.glob(f"*-{operation}-{cluster}/{bundle.REPORT}"), reverse=True)[:NEWEST]
    for path in newest:
        try:
            wrong = signature.differences(path.parent)
            report = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problems.append(f"{path} cannot be read: {error}")
            continue
        if wrong:
            problems.append(f"{path.parent} is not what was sealed: {'; '.join(wrong)}")
        elif isinstance(report, dict) and report.get("cluster") == cluster:
            found[path.parent] = report
    return found, problems

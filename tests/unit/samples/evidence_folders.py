# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of evidence as an operation seals them, for tests to import."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import signature


def seal(folder: Path, report: t.Mapping[str, t.Any]) -> Path:
    """Unsigned, as where no key was given."""
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    (folder / signature.MANIFEST).write_text(signature.manifest(folder), encoding="utf-8")
    return folder

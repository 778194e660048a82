# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report of a period as two files on the control node: a page for people, JSON for programs."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import schema

#: Schemas ship with the playbooks: a folder that an installed collection always has.
SCHEMAS = Path(__file__).resolve().parents[3] / "playbooks" / "schemas"


def written(
    report: dict[str, t.Any],
    page: t.Callable[[dict[str, t.Any]], bytes],
    schema_name: str,
    place: Path,
    *,
    check_mode: bool,
) -> dict[str, t.Any]:
    """What the action that writes it answers with.

    :param place: both files without their suffix.
    :raises UnknownError: the report is not what its schema says; then nothing was written.
    """
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    wrong = schema.violations(json.loads(text), json.loads((SCHEMAS / schema_name).read_text(encoding="utf-8")))
    if wrong:
        raise UnknownError("the report is not what its schema says: " + "; ".join(wrong[:5]))
    shown, told = (place.with_name(f"{place.name}.{suffix}") for suffix in ("html", "json"))
    if not check_mode:
        place.parent.mkdir(parents=True, exist_ok=True)
        shown.write_bytes(page(report))
        told.write_text(text, encoding="utf-8")
    return {
        "changed": True,
        "verdict": report["verdict"],
        "checks": report["checks"],
        "html": str(shown),
        "json": str(told),
    }

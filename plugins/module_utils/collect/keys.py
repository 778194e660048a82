# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the keys that a repository host is given, and of those that its catalogue's backups need."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import keys

DESCRIPTOR = Path("/etc/fraiseql-resilience/repository.json")
CATALOGUES = Path("/var/lib/fraiseql-resilience/backups")


def given() -> list[str]:
    """Keys of all generations that this host is told; none where nothing says so."""
    try:
        described = json.loads(DESCRIPTOR.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(one["key_id"]) for one in described.get("generations", [])]


def wrong(stanza: str) -> str:
    """Why the keys at hand do not open what the stanza's backups need, by name; empty where nothing says so."""
    try:
        catalogue = (CATALOGUES / stanza / "catalogue.jsonl").read_text(encoding="utf-8")
    except OSError:
        return ""
    return keys.missing(keys.wanted(keys.catalogue(catalogue)), given())

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of a role, packed with the collection's module_utils into one executable file. Control node only."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

#: The host's own Python.
INTERPRETER = b"#!/usr/bin/python3\n"
MODULE_UTILS = Path(__file__).resolve().parents[1] / "module_utils"
PACKAGE = Path("ansible_collections/fraiseql/resilience/plugins/module_utils")
#: The oldest moment that a zip file knows: the same sources make the same bytes.
NO_TIME = (1980, 1, 1, 0, 0, 0)


def pack(main: bytes) -> bytes:
    """A program and the library that it imports, as Python's ``zipapp`` would: the same bytes each time."""
    members = {Path("__main__.py"): main}
    members |= {parent / "__init__.py": b"" for parent in PACKAGE.parents if parent != Path()}
    for path in sorted(MODULE_UTILS.rglob("*.py")):
        members[PACKAGE / path.relative_to(MODULE_UTILS)] = path.read_bytes()
    packed = io.BytesIO(INTERPRETER)
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(str(name), NO_TIME), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()

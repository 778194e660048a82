# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of a role, packed with the collection's module_utils, becomes one executable file on a host."""

from __future__ import annotations

import io
import tempfile
import typing as t
import zipfile
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

#: The host's own Python.
INTERPRETER = b"#!/usr/bin/python3\n"
MODULE_UTILS = Path(__file__).resolve().parents[1] / "module_utils"
PACKAGE = Path("ansible_collections/fraiseql/resilience/plugins/module_utils")
#: The oldest moment that a zip file knows: the same sources make the same bytes.
NO_TIME = (1980, 1, 1, 0, 0, 0)


class ActionModule(ActionBase):
    """Packs on the control node; copying, comparing and permissions are ansible.builtin.copy's."""

    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars or {})
        _validation, given = self.validate_argument_spec(
            {"src": {"type": "path", "required": True}, "dest": {"type": "path", "required": True}}
        )
        try:
            source = Path(self._find_needle("files", given["src"]))
        except AnsibleError as error:
            return {"failed": True, "changed": False, "msg": f"there is no such program: {error}"}
        with tempfile.TemporaryDirectory(dir=str(constants.DEFAULT_LOCAL_TMP)) as folder:
            packed = Path(folder) / Path(given["dest"]).name
            packed.write_bytes(pack(source.read_bytes()))
            return self._copied(packed, given["dest"], task_vars)

    def _copied(self, packed: Path, dest: str, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        task = self._task.copy()
        task.args = {"src": str(packed), "dest": dest, "owner": "root", "group": "root", "mode": "0755"}
        task.diff = False  # nobody reads the difference of two zip files
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.legacy.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return t.cast("dict[str, t.Any]", copy.run(task_vars=task_vars))


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

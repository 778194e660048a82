# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a role, all looked at by one command; ansible.builtin writes those that are not as they should be."""

from __future__ import annotations

import hashlib
import json
import shlex
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.actions import answer_of
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.packed import pack

#: What an entry can be; each but ``directory`` names what the file is made of.
KINDS = ("template", "copy", "program", "content", "directory")
ENTRY: dict[str, t.Any] = {
    "dest": {"type": "path", "required": True},
    "template": {"type": "str"},
    "vars": {"type": "dict", "default": {}},
    "copy": {"type": "str"},
    "program": {"type": "str"},
    "content": {"type": "raw"},
    "directory": {"type": "bool"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0644"},
    "validate": {"type": "str"},
}
FILES: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": ENTRY,
    "mutually_exclusive": [KINDS],
    "required_one_of": [KINDS],
}


@dataclass(frozen=True)
class Wanted:
    """A file, or a directory where ``content`` is None."""

    dest: str
    owner: str
    group: str
    mode: str
    content: bytes | None
    validate: str | None = None

    def stat(self) -> tuple[str, ...]:
        kind = "directory" if self.content is None else "regular file" if self.content else "regular empty file"
        return self.mode.lstrip("0"), self.owner, self.group, kind, self.dest


def look(wanted: t.Sequence[Wanted]) -> str:
    """What a shell has to do for :func:`differing` to see what is there."""
    stat = "LC_ALL=C stat --printf='%a\\t%U\\t%G\\t%F\\t%n\\n' -- " + shlex.join(one.dest for one in wanted)
    files = [one.dest for one in wanted if one.content is not None]
    return "; ".join([stat, *([f"sha256sum -- {shlex.join(files)}"] if files else []), "true"])


def differing(wanted: t.Sequence[Wanted], told: str) -> list[Wanted]:
    """Those that are not as they should be, and those of which that cannot be told."""
    lines = told.splitlines()
    stats = {tuple(line.split("\t")) for line in lines}
    hashes = {tuple(line.split("  ", 1)) for line in lines}
    return [
        one
        for one in wanted
        if one.stat() not in stats
        or (one.content is not None and (hashlib.sha256(one.content).hexdigest(), one.dest) not in hashes)
    ]


class ActionModule(ActionBase):
    """Renders and compares here; writing, differences and permissions are ansible.builtin's."""

    # What is in place needs no temporary directory.
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars or {})
        _validation, given = self.validate_argument_spec({"files": FILES})
        try:
            wanted = [self._wanted(entry, task_vars or {}) for entry in given["files"]]
        except AnsibleError as error:
            return {"failed": True, "changed": False, "msg": f"{error}. Nothing was changed."}
        told = self._low_level_execute_command(look(wanted))["stdout"]
        answer: dict[str, t.Any] = {"changed": False, "changed_files": [], "diff": []}
        for one in differing(wanted, told):
            done = self._made(one, task_vars or {})
            if done.get("failed"):
                return {**answer, **done, "changed": answer["changed"], "dest": one.dest}
            if done.get("changed"):
                answer["changed"] = True
                answer["changed_files"].append(one.dest)
                diff = done.get("diff") or []
                answer["diff"] += diff if isinstance(diff, list) else [diff]
        return answer

    def _wanted(self, entry: dict[str, t.Any], variables: dict[str, t.Any]) -> Wanted:
        """:raises AnsibleError: there is no such source, or it cannot be rendered."""
        content: bytes | None = None
        if entry["template"] is not None:
            lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
            content = str(lookup.run([entry["template"]], variables=variables, template_vars=entry["vars"])[0]).encode()
        elif entry["copy"] is not None:
            content = Path(self._find_needle("files", entry["copy"])).read_bytes()
        elif entry["program"] is not None:
            content = pack(Path(self._find_needle("files", entry["program"])).read_bytes())
        elif entry["content"] is not None:
            text = entry["content"]
            # Before 2.19, Ansible makes a structure of what looks like JSON.
            content = (text if isinstance(text, str) else json.dumps(text)).encode()
        given = {name: entry[name] for name in ("dest", "owner", "group", "mode", "validate")}
        return Wanted(content=content, **given)

    def _made(self, one: Wanted, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        permissions = {"owner": one.owner, "group": one.group, "mode": one.mode}
        if one.content is None:
            arguments = {"path": one.dest, "state": "directory", **permissions}
            return t.cast(
                "dict[str, t.Any]",
                self._execute_module("ansible.legacy.file", module_args=arguments, task_vars=variables),
            )
        with tempfile.TemporaryDirectory(dir=str(constants.DEFAULT_LOCAL_TMP)) as folder:
            source = Path(folder) / Path(one.dest).name
            source.write_bytes(one.content)
            options = {"src": str(source), "dest": one.dest, **permissions, "validate": one.validate}
            return answer_of(self, "ansible.legacy.copy", options, variables)

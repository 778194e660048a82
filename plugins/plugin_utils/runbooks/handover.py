# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of Ansible that another one starts, with the same inventory, variables and passwords. Control node only.

Nothing that may be secret stands on a command line: it is in files that nobody else may read, in a folder that whoever
starts the run removes as soon as that one has read them.
"""

from __future__ import annotations

import json
import os
import sys
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible import constants, context
from ansible.parsing.splitter import parse_kv

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError

#: Options of the command line that say how hosts are reached, and by which words they are given.
OPTIONS: t.Final = {
    "private_key_file": "--private-key",
    "remote_user": "--user",
    "connection": "--connection",
    "timeout": "--timeout",
    "ssh_common_args": "--ssh-common-args",
    "sftp_extra_args": "--sftp-extra-args",
    "scp_extra_args": "--scp-extra-args",
    "ssh_extra_args": "--ssh-extra-args",
    "become_method": "--become-method",
    "become_user": "--become-user",
    "forks": "--forks",
    "subset": "--limit",
}
CALLBACK = "fraiseql.resilience.step_outcome"
DISPLAY = "fraiseql.resilience.recovery_clock"
#: Nobody is there who could be asked; passwords come by files.
ASKS_NOBODY = {"ANSIBLE_ASK_PASS": "0", "ANSIBLE_BECOME_ASK_PASS": "0", "ANSIBLE_ASK_VAULT_PASS": "0"}


@dataclass(frozen=True)
class Call:
    argv: Sequence[str]
    environment: Mapping[str, str]


class Outer:
    """This run of Ansible, as far as another one has to be like it.

    :param passwords: by which hosts are reached, and by which root is become there; both may be empty.
    """

    def __init__(self, variables: Mapping[str, t.Any], passwords: tuple[str | None, str | None], loader: t.Any) -> None:
        self._inventory = [str(source) for source in variables.get("ansible_inventory_sources") or ()]
        self._passwords, self._loader = passwords, loader

    def call(self, folder: Path, playbook: str, variables: Mapping[str, t.Any], *, check: bool) -> Call:
        """The run of a playbook, with more variables.

        :param folder: one of its own, which nobody else may read.
        """
        argv = [*_program(), *(f"--inventory={source}" for source in self._inventory), *_options()]
        argv += [f"--extra-vars={given}" for given in _extra_variables(folder)]
        argv.append(f"--extra-vars=@{_written(folder, 'variables.json', json.dumps(variables).encode('utf-8'))}")
        argv += [*(["--check"] if check else []), playbook]
        return Call(argv, {**os.environ, **ASKS_NOBODY, **_displays(), **self._secrets(folder)})

    def _secrets(self, folder: Path) -> dict[str, str]:
        files = ("ANSIBLE_CONNECTION_PASSWORD_FILE", "ANSIBLE_BECOME_PASSWORD_FILE")
        found = {
            name: str(_written(folder, name, str(password).encode("utf-8")))
            for name, password in zip(files, self._passwords, strict=True)
            if password
        }
        vault = [
            f"{name}@{_written(folder, f'vault-{number}', bytes(secret.bytes))}"
            for number, (name, secret) in enumerate(self._loader._vault.secrets or ())
        ]
        return {**found, **({"ANSIBLE_VAULT_IDENTITY_LIST": ",".join(vault)} if vault else {})}


def _program() -> list[str]:
    """The same ``ansible-playbook`` as this one."""
    this = Path(sys.argv[0])
    known = this.name == "ansible-playbook" and this.is_file()
    return [sys.executable, str(this)] if known else [sys.executable, "-m", "ansible", "playbook"]


def _options() -> Iterator[str]:
    for name, words in OPTIONS.items():
        if context.CLIARGS.get(name) is not None:
            yield f"{words}={context.CLIARGS[name]}"
    if context.CLIARGS.get("become"):
        yield "--become"


def _extra_variables(folder: Path) -> Iterator[str]:
    """Those of this run's command line, in their order: files as they are, the rest in files."""
    for number, given in enumerate(map(str, context.CLIARGS.get("extra_vars") or ())):
        if given.startswith("@"):
            _demand_file(Path(given[1:]).expanduser())
            yield given
        elif given:
            # What begins with a bracket is YAML as it stands.
            text = given if given[0] in "{[" else json.dumps(parse_kv(given))
            yield f"@{_written(folder, f'extra-{number}', text.encode('utf-8'))}"


def _demand_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(
            "each step reads the variables of the command line again, and a pipe is read once",
            given=f"-e @{path}", possible="a file",
        )  # fmt: skip


def _displays() -> dict[str, str]:
    others = [name for name in constants.CALLBACKS_ENABLED or () if name not in (CALLBACK, DISPLAY)]
    return {
        "ANSIBLE_STDOUT_CALLBACK": DISPLAY,
        "ANSIBLE_CALLBACKS_ENABLED": ",".join([*others, CALLBACK]),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
    }


def _written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return path

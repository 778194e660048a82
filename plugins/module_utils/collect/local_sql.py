# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks this host's PostgreSQL over its socket, as its operating system user: no password, no network."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed, Runner

#: Seconds that an answer may take, also from a server that hangs.
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class LocalServer:
    """Where the server listens, and how to ask it."""

    bin_dir: str
    socket_dir: str
    port: int
    os_user: str
    run: Runner
    #: PostgreSQL role; None is the one that the operating system user is called after.
    login: str | None = None

    @classmethod
    def of(cls, member: t.Mapping[str, t.Any], run: Runner) -> LocalServer:
        """The server of a member's descriptor."""
        return cls(member["bin_dir"], member["socket_dir"], member["port"], member["os_user"], run)

    def value(self, statement: str, *, timeout: float = ANSWER_SECONDS) -> str:
        """The one value that the statement answers, as text.

        :raises CommandError: the server did not answer, in time or at all.
        """
        argv = [*self.psql("postgres"), "-v", "ON_ERROR_STOP=1", "-c", statement]
        return self.run(argv, timeout=timeout, user=self.os_user).stdout.strip()

    def script(self, database: str, text: str, *, timeout: float, env: t.Mapping[str, str] | None = None) -> Completed:
        """What psql answers to a script of statements and of its own commands. A statement that fails ends nothing;
        what it complained of is in ``stderr``."""
        argv = [*self.psql(database), "-f", "-"]
        return self.run(argv, timeout=timeout, user=self.os_user, env=env, stdin=text, check=False)

    def psql(self, database: str) -> list[str]:
        login = ["-U", self.login] if self.login is not None else []
        return [
            f"{self.bin_dir}/psql", "-XAtq", "-h", self.socket_dir, "-p", str(self.port), *login, "-d", database,
        ]  # fmt: skip

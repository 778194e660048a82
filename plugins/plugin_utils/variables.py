# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of a cluster, seen from a task on localhost, which is none of its hosts. Control node only."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError


class ClusterVariables:
    """What the hosts of a cluster say, and after them the task's own host.

    The cluster goes first: what the group ``all`` says reaches localhost, too, and must not replace what the cluster's
    own group says. Variables of the command line are the same everywhere.
    """

    def __init__(self, variables: Mapping[str, t.Any], cluster: str, template: Callable[[t.Any], t.Any]) -> None:
        self._own, self._cluster, self._template = variables, cluster, template
        hosts = variables.get("groups", {}).get(cluster, ())
        self._hosts = {str(host): variables["hostvars"][host] for host in hosts}

    def setting(self, name: str) -> t.Any:
        """What the cluster's hosts agree about, else what the task's own host says; ``None`` when nobody says anything.

        :raises InputError: its hosts do not agree.
        """
        values = self._by_host(name)
        if not _alike(values):
            raise InputError(
                f"the hosts of {self._cluster} do not agree about {name}",
                next_step=f"set {name} for the whole group {self._cluster}",
            )
        if values:
            return next(iter(values.values()))
        return None if self._own.get(name) is None else self._template(self._own[name])

    def matching(self, wanted: Callable[[str], bool]) -> dict[str, t.Any]:
        """Each variable of a wanted name: its value; or, where the cluster's hosts differ, its value by host."""
        names = {str(name) for source in (self._own, *self._hosts.values()) for name in source if wanted(str(name))}
        return {name: self._value(name) for name in sorted(names)}

    def _value(self, name: str) -> t.Any:
        values = self._by_host(name)
        return self.setting(name) if _alike(values) else values

    def _by_host(self, name: str) -> dict[str, t.Any]:
        found = {host: variables.get(name) for host, variables in self._hosts.items()}
        return {host: value for host, value in found.items() if value is not None}


def _alike(values: Mapping[str, t.Any]) -> bool:
    return all(value == next(iter(values.values())) for value in values.values())

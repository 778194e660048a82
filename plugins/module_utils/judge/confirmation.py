# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the cluster that an operation is about to change the one that its operator means?"""

from __future__ import annotations

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError

#: Groups that Ansible makes by itself; never a cluster.
IMPLICIT_GROUPS = frozenset({"all", "ungrouped"})


def known_clusters(groups: t.Mapping[str, t.Sequence[str]], by_function: t.Sequence[str]) -> list[str]:
    """The names of the inventory's clusters: groups that hold at least one host of each group in ``by_function``.

    :param groups: every group of the inventory with its hosts.
    :param by_function: the groups by function that a cluster cannot be without: members, observers.
    """
    needed = [set(groups.get(name, ())) for name in by_function]
    return sorted(
        name
        for name, hosts in groups.items()
        if name not in IMPLICIT_GROUPS
        and name not in by_function
        and needed
        and all(function.intersection(hosts) for function in needed)
        and not _is_function_group(set(hosts), needed)
    )


def _is_function_group(hosts: set[str], needed: t.Sequence[set[str]]) -> bool:
    """A group by function (gateways that are observers too, say) lies wholly within another group by function."""
    return any(hosts <= function for function in needed)


def confirm(
    cluster: str | None,
    confirmation: str | None,
    known: t.Sequence[str],
    *,
    destructive: bool = True,
) -> str:
    """The cluster's name, if it is known and, for a destructive operation, confirmed by that very name.

    :raises InputError: no cluster, or an unknown one, was named.
    :raises RefusedError: the confirmation is missing or names another cluster.
    """
    possible = ", ".join(known) or "none: no group of the inventory holds both members and an observer"
    if not cluster:
        raise InputError(
            "resilience_cluster is not set: an operation works on exactly one cluster",
            possible=possible,
            next_step="run it again with -e resilience_cluster=<one of them>",
        )
    if cluster not in known:
        raise InputError(
            f"there is no cluster named '{cluster}' in this inventory",
            given=f"resilience_cluster={cluster}",
            possible=possible,
            next_step="run it again with -e resilience_cluster=<one of them>",
        )
    if destructive and confirmation != cluster:
        raise RefusedError(
            "this operation changes who serves the cluster, and "
            + ("it was not confirmed" if not confirmation else f"the confirmation is for '{confirmation}'"),
            given=f"resilience_cluster={cluster} resilience_confirm={confirmation or ''}",
            possible=f"resilience_confirm={cluster}",
            next_step=f"read the plan with --check, then run it again with -e resilience_confirm={cluster}",
        )
    return cluster

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who ran an operation, with what, on which hosts. Of Ansible's variables it looks at none that is a secret."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import typing as t
from pathlib import Path

#: Of what AWX tells a job about itself, what says who started it and from what.
AWX = re.compile(
    r"(?:awx|tower)_(?:job_id|job_launch_type|job_template_id|job_template_name|workflow_job_id|workflow_job_name|"
    r"schedule_id|schedule_name|user_id|user_name|inventory_id|inventory_name|project_revision|project_scm_branch)"
)
COLLECTION = Path(__file__).resolve().parents[3]


def operator(variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The user and host that Ansible ran as, and AWX's job if there is one."""
    user = os.environ.get("SUDO_USER") or _user()
    told = {name: variables[name] for name in sorted(variables) if AWX.fullmatch(name)}
    return {"user": user, "host": platform.node() or "unknown", "awx": {key: _plain(told[key]) for key in told}}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _plain(value: t.Any) -> t.Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def inventory(cluster: str, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The hosts of the cluster: groups, region, address."""
    groups: t.Mapping[str, t.Sequence[str]] = variables.get("groups", {})
    hostvars: t.Mapping[str, t.Mapping[str, t.Any]] = variables.get("hostvars", {})
    return {
        str(host): {
            "groups": sorted(
                str(name) for name, hosts in groups.items() if host in hosts and name not in ("all", cluster)
            ),
            "region": _text(hostvars, host, "resilience_region"),
            "address": _text(hostvars, host, "resilience_address"),
        }
        for host in groups.get(cluster, ())
    }


def _text(hostvars: t.Mapping[str, t.Mapping[str, t.Any]], host: str, name: str) -> str | None:
    value = hostvars[host].get(name) if host in hostvars else None
    return None if value is None else str(value)


def versions(ansible: str) -> dict[str, str]:
    return {
        "fraiseql.resilience": collection_version(COLLECTION),
        "ansible-core": ansible,
        "python": platform.python_version(),
    }


def collection_version(folder: Path) -> str:
    """The version of an installed collection, or of a checkout; an install may have neither file."""
    try:
        manifest = json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(manifest["collection_info"]["version"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        found = re.search(r"^version:\s*(\S+)", (folder / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else "unknown"

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signed a request, and what AWX knows of the approvals before a job. Control node only."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from ansible.module_utils.urls import open_url

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import signature
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.approval import (
    NAMESPACE,
    Node,
    Signed,
    Workflow,
    moment,
)

#: Seconds for one question to AWX.
TIMEOUT = 20.0
#: The most nodes of a workflow that AWX tells at once.
PAGE = 200
LINKS = ("success_nodes", "failure_nodes", "always_nodes")

Answer = dict[str, t.Any]
Ask = Callable[[str], Answer]


# SSH ------------------------------------------------------------------------------------------------------------------


def approvers_file(path: str | None) -> Path:
    """The list of approvers.

    :raises InputError: none is named, or it cannot be read.
    """
    if not path:
        raise InputError(
            "there is no list of approvers",
            given="resilience_approvers is not set",
            possible='an allowed_signers file of ssh-keygen: anna@example.org namespaces="'
            + NAMESPACE
            + '" ssh-ed25519 …',
        )
    found = Path(path).expanduser().absolute()
    _content(found, "resilience_approvers")
    return found


def request_content(path: str) -> tuple[Path, bytes]:
    """The request's file and its bytes.

    :raises InputError: it cannot be read.
    """
    found = Path(path).expanduser().absolute()
    return found, _content(found, "resilience_approval")


def _content(path: Path, variable: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", given=f"{variable}={path}") from error


def signature_files(request: Path) -> list[Path]:
    """``<request>.sig`` and each ``<request>.<anything>.sig``, by name."""
    beside = (path for path in request.parent.iterdir() if path.name.startswith(f"{request.name}."))
    return sorted(path for path in beside if path.suffix == ".sig" and path.is_file())


def signed(content: bytes, files: Sequence[Path], approvers: Path, run: Runner) -> list[Signed]:
    """What each signature file is worth.

    :param content: the request that was read, so that what is judged is what was verified.
    """
    text = content.decode("ascii")
    return [_signed(text, path, approvers, run) for path in files]


def _signed(text: str, path: Path, approvers: Path, run: Runner) -> Signed:
    try:
        found = signature.verified(text, path, approvers, NAMESPACE, run)
    except CommandError as error:
        return Signed(path.name, problem=_problem(error))
    return Signed(path.name, found.principals, found.fingerprint)


def _problem(error: CommandError) -> str:
    said = error.stderr_tail.strip()
    if said == "No principal matched.":
        return "its key is none of the approvers' list"
    return "; ".join(line.strip() for line in said.splitlines()) or error.message


# AWX ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Controller:
    """AWX's address (https, with or without the path of its API), a token that may read, a CA file if it is private."""

    url: str
    token: str
    ca: str | None = None

    def __repr__(self) -> str:
        return f"Controller({self.url!r})"

    def ask(self, path: str) -> Answer:
        """What AWX answers to one question, below the API's root.

        :raises UnknownError: it gave no answer that can be read.
        """
        base = self.url.rstrip("/")
        url = f"{base if '/api/' in base else base + '/api/v2'}/{path}"
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        try:
            # A redirect would carry the token to another place.
            reply = open_url(url, headers=headers, timeout=TIMEOUT, ca_path=self.ca, follow_redirects="none")
            found = json.loads(reply.read())
        except (OSError, HTTPException, ValueError) as error:
            raise UnknownError(f"AWX gave no answer: {error}", given=url, next_step=_AWX_NEXT) from error
        if not isinstance(found, dict):
            raise UnknownError("AWX gave an answer that is no object", given=url)
        return found


_AWX_NEXT = "make AWX answer, or in an emergency say -e resilience_break_glass=<reason>"


def controller(url: str | None, token: str | None, ca: str | None) -> Controller:
    """Whom to ask.

    :raises InputError: no address, no token, or one that would send the token in clear.
    """
    if not url or not token:
        raise InputError(
            "AWX has to be asked who approved, and " + ("its address" if not url else "a token") + " is missing",
            possible="resilience_awx_url and resilience_awx_token, or AWX's own credential for itself (CONTROLLER_HOST "
            "and CONTROLLER_OAUTH_TOKEN)",
        )
    if not url.lower().startswith("https://"):
        raise InputError("AWX is asked by https alone", given=f"resilience_awx_url={url}")
    return Controller(url, token, ca)


def workflow(workflow_job: str, job: str, ask: Ask) -> Workflow:
    """What AWX knows of the workflow that runs this job.

    :param workflow_job: awx_workflow_job_id. :param job: awx_job_id.
    :raises InputError: a number is missing, so this is no job of a workflow.
    :raises UnknownError: AWX could not be asked, or its answer could not be understood.
    """
    if not workflow_job.isdecimal() or not job.isdecimal():
        raise InputError(
            "this is no job of a workflow of AWX, so no approval node can stand before it",
            given=f"awx_workflow_job_id={workflow_job} awx_job_id={job}",
            next_step="launch the workflow that has the approval node; a relaunched single job has left it",
        )
    try:
        about = ask(f"workflow_jobs/{workflow_job}/")
        nodes = ask(f"workflow_jobs/{workflow_job}/workflow_nodes/?page_size={PAGE}")
        if nodes.get("next"):
            raise UnknownError(f"the workflow has more than {PAGE} nodes", given=f"workflow job {workflow_job}")
        approvals = [ask(f"workflow_approvals/{one}/") for one in approvals_before(nodes["results"], int(job))]
        variables = json.loads(about.get("extra_vars") or "{}")
        return Workflow(workflow_job, _launcher(about), dict(variables), [_node(one) for one in approvals])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnknownError(
            f"AWX's answer could not be understood ({type(error).__name__}: {error})", next_step=_AWX_NEXT
        ) from error


def approvals_before(nodes: Sequence[Mapping[str, t.Any]], job: int) -> list[int]:
    """The approvals that had to be decided before this job could begin, by number: those on a way to its node.

    :raises ValueError: none of the nodes runs this job.
    """
    before: dict[int, set[int]] = {}
    for node in nodes:
        for link in LINKS:
            for after in node[link]:
                before.setdefault(after, set()).add(node["id"])
    seen: set[int] = set()
    ahead = [node["id"] for node in nodes if node["job"] == job]
    if not ahead:
        raise ValueError(f"no node of the workflow runs job {job}")
    while ahead:
        for one in before.get(ahead.pop(), set()) - seen:
            seen.add(one)
            ahead.append(one)
    found = [node["summary_fields"].get("job") or {} for node in nodes if node["id"] in seen]
    return sorted(one["id"] for one in found if one.get("type") == "workflow_approval")


def _launcher(about: Mapping[str, t.Any]) -> str:
    by = about["summary_fields"].get("created_by") or {}
    return str(by.get("username") or f"AWX ({about.get('launch_type') or 'nobody'})")


def _node(found: Mapping[str, t.Any]) -> Node:
    by = found["summary_fields"].get("approved_or_denied_by") or {}
    finished = moment(found["finished"]) if found.get("finished") else None
    return Node(str(found["name"]), str(found["status"]), by.get("username"), finished)

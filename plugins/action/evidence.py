# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence of an operation: opened first, sealed last, verified by anyone. Runs on the control node alone."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    ResilienceError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import bundle as bundles
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import (
    circumstances,
    clocks,
    junit,
    signature,
    verification,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import report as reports
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.hash_chain import canonical
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import worst
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import current, html, summary

Result = dict[str, t.Any]

ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "state": {"type": "str", "required": True, "choices": ["opened", "added", "sealed", "verified", "summarised"]},
    "operation": {"type": "str"},
    "scenario": {"type": "str"},
    "cluster": {"type": "str"},
    "directory": {"type": "path", "default": "evidence"},
    "key": {"type": "path"},
    "name": {"type": "str"},
    "src": {"type": "path"},
    "content": {"type": "raw"},
    "remote_src": {"type": "bool", "default": False},
    "judged": {"type": "dict", "default": {}},
    "report": {"type": "dict", "default": {}},
    "path": {"type": "path"},
    "paths": {"type": "list", "elements": "path"},
    "series": {"type": "str"},
    "scenarios": {"type": "list", "elements": "str", "default": []},
    "repeat": {"type": "int", "default": 1},
    "allowed_signers": {"type": "path"},
}
REQUIRED_IF: t.Final = [
    ("state", "opened", ("operation", "cluster")),
    ("state", "added", ("name",)),
    ("state", "added", ("src", "content"), True),
    ("state", "summarised", ("cluster",)),
]


class ActionModule(ActionBase):
    """Writes on the control node, whatever host the task is for."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        variables = task_vars or {}
        super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(
            ARGUMENTS, required_if=REQUIRED_IF, mutually_exclusive=[("src", "content")]
        )
        states: dict[str, t.Callable[[Result, dict[str, t.Any]], Result]] = {
            "opened": self._opened,
            "added": self._added,
            "sealed": self._sealed,
            "verified": self._verified,
            "summarised": self._summarised,
        }
        try:
            return states[given["state"]](given, variables)
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}

    # opened ----------------------------------------------------------------------------------------------------------

    def _opened(self, given: Result, variables: dict[str, t.Any]) -> Result:
        operation, scenario, cluster = given["operation"], given["scenario"] or None, given["cluster"]
        if self._task.check_mode:
            return {"changed": False, "path": None, "joined": False}
        bundle = current.opened()
        joined = bundle is not None
        if bundle is None:
            self._signer(given, variables, cluster, needed=operation == "drill")
            about: Result = {
                "operator": circumstances.operator(variables),
                "versions": circumstances.versions(ansible_version),
            }
            about["series"] = (
                given["series"] or self._variable("resilience_evidence_series", variables, cluster) or None
            )
            bundle = Bundle.create(Path(given["directory"]).absolute(), operation, cluster, scenario, **about)
            current.remember(bundle)
        else:
            _refuse_other_cluster(bundle, cluster)
            bundle.timeline.append("joined", operation=operation, scenario=scenario)
        _keep_approvals(bundle)
        opening = bundle.opening()
        facts = {"resilience_evidence_path": str(bundle.path), "resilience_operation": opening["operation"]}
        return {
            "changed": True,
            "path": str(bundle.path),
            "operation": operation,
            "scenario": scenario,
            "cluster": cluster,
            "joined": joined,
            "opened_ns": opening["monotonic_ns"],
            "ansible_facts": facts,
        }

    def _signer(
        self, given: Result, variables: dict[str, t.Any], cluster: str, *, needed: bool
    ) -> signature.Signer | None:
        """The key that signs; a key that is named has to work, and a drill has to have one."""
        key = given["key"] or self._variable("resilience_evidence_key", variables, cluster)
        if key:
            return signature.signer(Path(str(key)).expanduser().absolute(), run)
        if needed:
            raise InputError(
                "a drill is a proof, and there is no key to sign it with",
                given="resilience_evidence_key is not set",
                next_step=f"ssh-keygen -t ed25519 -N '' -C {signature.IDENTITY} -f evidence_key, then "
                "-e resilience_evidence_key=evidence_key",
            )
        return None

    def _variable(self, name: str, variables: dict[str, t.Any], cluster: str | None) -> t.Any:
        """A variable of the task's host; else of the cluster's hosts, since localhost is none of them."""
        if variables.get(name) is not None:
            return self._templar.template(variables[name])
        hosts = variables.get("groups", {}).get(cluster, ())
        values = (variables["hostvars"][host].get(name) for host in hosts)
        return next((value for value in values if value is not None), None)

    # added -----------------------------------------------------------------------------------------------------------

    def _added(self, given: Result, variables: dict[str, t.Any]) -> Result:
        if self._task.check_mode:
            return {"changed": False, "path": None, "marks": {}}
        bundle = current.needed()
        event = bundle.add(
            given["name"], self._fetched(given["src"], variables) if given["remote_src"] else _content(given)
        )
        return {"changed": True, "path": str(bundle.path / given["name"]), "sha256": event["sha256"], **_marks(bundle)}

    def _fetched(self, path: str, variables: dict[str, t.Any]) -> bytes:
        """A file of the task's host, as whoever the task becomes there: it may be root's alone."""
        told = self._execute_module("ansible.legacy.slurp", module_args={"src": path}, task_vars=variables)
        if told.get("failed") or "content" not in told:
            why = told.get("msg", "no content")
            raise UnknownError(f"the file could not be fetched from {self._host()}: {why}", given=path)
        return base64.b64decode(told["content"])

    def _host(self) -> str:
        return str(self._task.delegate_to or self._play_context.remote_addr)

    # sealed ----------------------------------------------------------------------------------------------------------

    def _sealed(self, given: Result, variables: dict[str, t.Any]) -> Result:
        reports.check_given(given["report"])
        reported = reports.merge(reports.of_judged(given["judged"]), given["report"])
        reports.check_given(reported)
        verdict = worst(reports.as_checks(reported["checks"])).value
        if self._task.check_mode:
            return {"changed": False, "path": None, "sealed": False, "verdict": verdict, "marks": {}}
        bundle = current.needed()
        if given["operation"] in bundle.inside()[1:]:
            bundle.timeline.append("left", operation=given["operation"], report=reported)
            return {"changed": True, "path": str(bundle.path), "sealed": False, "verdict": verdict, **_marks(bundle)}
        whole: Result = {}
        for part in [*bundle.reported_inside(), reported]:
            whole = reports.merge(whole, part)
        whole["approvals"] = [*bundle.approved(), *whole.get("approvals", [])]
        return {"changed": True, **self._seal(bundle, whole, given, variables), **_marks(bundle)}

    def _seal(self, bundle: Bundle, whole: Result, given: Result, variables: dict[str, t.Any]) -> Result:
        opening = bundle.opening()
        signer = self._signer(given, variables, opening["cluster"], needed=False)
        about = reports.Circumstances(
            operation=opening["operation"],
            scenario=opening["scenario"],
            cluster=opening["cluster"],
            folder=bundle.path.name,
            operator=opening["operator"],
            inventory=circumstances.inventory(opening["cluster"], variables),
            versions=opening["versions"],
            objectives=dict(self._variable("resilience_objectives", variables, opening["cluster"]) or {}),
            key_fingerprint=signer.fingerprint if signer else None,
        )
        reports.assemble(about, whole, bundle.timeline.read(), utc_now())  # what cannot be sealed stays open
        bundle.timeline.append("sealed")
        found = reports.assemble(about, whole, bundle.timeline.read(), utc_now())
        kept = bundle.path / bundles.LEDGER
        page = html.page(found, kept.read_bytes() if kept.exists() else b"")
        contents = {
            bundles.REPORT: reports.as_text(found),
            bundles.PAGE: page,
            bundles.JUNIT: junit.junit(found),
            bundles.SCHEMA: reports.SCHEMA_FILE.read_bytes(),
        }
        bundle.seal(contents, signer, run)
        return {
            "path": str(bundle.path),
            "sealed": True,
            "signed": signer is not None,
            "verdict": found["verdict"],
            "report": found,
        }

    # verified, summarised --------------------------------------------------------------------------------------------

    def _verified(self, given: Result, variables: dict[str, t.Any]) -> Result:
        if not given["path"]:
            raise InputError("which evidence is to be verified?", next_step="give path=<evidence folder>")
        trusted = given["allowed_signers"] or self._variable(
            "resilience_evidence_allowed_signers", variables, given["cluster"]
        )
        folder = Path(given["path"]).absolute()
        checks = verification.verify(folder, Path(str(trusted)).expanduser().absolute() if trusted else None, run)
        verdict = worst(checks).value
        found = [check.as_dict() for check in checks]
        bad = [f"{check['name']}: {check['reason']}" for check in found if check["verdict"] == "failed"]
        answer = {"changed": False, "path": str(folder), "checks": found, "verdict": verdict}
        if bad:
            return {**answer, "failed": True, "msg": f"{folder.name} is not what was sealed. " + "; ".join(bad)}
        return answer

    def _summarised(self, given: Result, variables: dict[str, t.Any]) -> Result:
        folders = [Path(path).absolute() for path in given["paths"] or []]
        if given["series"]:
            folders += summary.folders(Path(given["directory"]).absolute(), given["series"])
        rows = summary.rows(folders, given["scenarios"], given["repeat"])
        if self._task.check_mode:
            return {"changed": False, "path": None, "rows": [row.as_dict() for row in rows]}
        signer = self._signer(given, variables, given["cluster"], needed=False)
        verdict = summary.verdict(rows)
        table = summary.table(rows)
        path = summary.write(Path(given["directory"]).absolute(), given["cluster"], rows, signer, run)
        answer = {
            "changed": True,
            "path": str(path),
            "verdict": verdict.value,
            "table": table,
            "rows": [row.as_dict() for row in rows],
        }
        if verdict.value != "passed":
            bad = [f"{row.scenario} {row.verdict.value}: {row.reason}" for row in rows if row.verdict.value != "passed"]
            return {**answer, "failed": True, "msg": "; ".join(bad) or "no drill was run, so nothing is proven"}
        return answer


def _refuse_other_cluster(bundle: Bundle, cluster: str) -> None:
    other = bundle.opening()["cluster"]
    if other != cluster:
        raise InputError(
            "an operation on another cluster is under way in this run", given=cluster, possible=other,
            next_step="run it by itself",
        )  # fmt: skip


def _keep_approvals(bundle: Bundle) -> None:
    """What the approval before it handed over becomes part of the evidence, and of its report."""
    approved = current.handed_over()
    for approval in approved["approvals"]:
        bundle.timeline.append("approval", approval=approval)
    for name, text in approved["files"].items():
        bundle.add(name, text.encode("utf-8"))


def _content(given: Result) -> bytes:
    """The file's bytes: from a file of the control node, a text, or any data, which is kept as JSON."""
    if given["src"]:
        path = Path(given["src"]).absolute()
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"the file cannot be read: {error.strerror}", given=str(path)) from error
    content = given["content"]
    if isinstance(content, str):
        return content.encode("utf-8")
    return canonical(content) if not isinstance(content, bytes) else content


def _marks(bundle: Bundle) -> Result:
    """The phases so far: what a judge needs of the timeline."""
    return {"marks": clocks.as_marks(bundle.events())}

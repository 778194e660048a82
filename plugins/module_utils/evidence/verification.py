# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is this evidence what was sealed? One check a question, so that an edited file is named."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import report, schema, signature
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import REPORT, TIMELINE, Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst

FILES = "files_as_sealed"
SIGNATURE = "signature_good"
SIGNER = "signer_trusted"
CHAIN = "timeline_whole"
REPORTED = "report_agrees"


def verify(folder: Path, trusted: Path | None, run: Runner) -> list[Check]:
    """What holds of an evidence folder.

    :param trusted: an ``allowed_signers`` file that came another way than the folder; without it nobody knows whose
        key signed, which is ``unknown``.
    """
    bundle = Bundle(folder.resolve())
    if not bundle.sealed:
        reason = f"{folder} has no {signature.MANIFEST}: the operation was cut off, or this is no evidence"
        return [Check(FILES, Verdict.FAILED, reason)]
    return [
        _files(bundle.path),
        _signature(bundle.path, run),
        _signer(bundle.path, trusted, run),
        _chain(bundle),
        _report(bundle),
    ]


def _check(name: str, problems: t.Sequence[str], good: str) -> Check:
    return Check(name, Verdict.FAILED, "; ".join(problems)) if problems else Check(name, Verdict.PASSED, good)


def _files(folder: Path) -> Check:
    count = len(list(signature.files(folder)))
    return _check(FILES, signature.differences(folder), f"all {count} files have the SHA-256 of {signature.MANIFEST}")


def _signature(folder: Path, run: Runner) -> Check:
    if not (folder / signature.SIGNATURE).exists():
        return Check(SIGNATURE, Verdict.UNKNOWN, f"it is not signed: there is no {signature.SIGNATURE}")
    problem = signature.verify(folder, folder / signature.ALLOWED_SIGNERS, run)
    return _check(SIGNATURE, [problem] if problem else [], f"{signature.SIGNATURE} is by the key that the folder names")


def _signer(folder: Path, trusted: Path | None, run: Runner) -> Check:
    if trusted is None:
        return Check(SIGNER, Verdict.UNKNOWN, "no allowed_signers of your own was given to compare the key with")
    if not (folder / signature.SIGNATURE).exists():
        return Check(SIGNER, Verdict.UNKNOWN, "it is not signed")
    problem = signature.verify(folder, trusted.resolve(), run)
    return _check(
        SIGNER, [f"the key is none of {trusted} ({problem})"] if problem else [], f"the key is one of {trusted}"
    )


def _chain(bundle: Bundle) -> Check:
    timeline = bundle.timeline.read()
    problems = list(timeline.problems)
    problems += [
        f"{event['name']} is not the file that was added in line {event['n']}"
        for event in timeline.events
        if event.get("kind") == "added" and _digest(bundle.path / str(event.get("name"))) != event.get("sha256")
    ]
    return _check(CHAIN, problems, f"{len(timeline.events)} events of {TIMELINE}, each follows from the one before")


def _digest(path: Path) -> str | None:
    return signature.digest(path) if path.is_file() else None


def _report(bundle: Bundle) -> Check:
    try:
        found = json.loads((bundle.path / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Check(REPORTED, Verdict.FAILED, f"{REPORT} cannot be read: {error}")
    problems = schema.violations(found, report.report_schema())
    if not problems:
        problems = list(_contradictions(found, bundle))
    return _check(REPORTED, problems, f"{REPORT} fits its schema, its verdict follows from its checks")


def _contradictions(found: t.Mapping[str, t.Any], bundle: Bundle) -> t.Iterator[str]:
    verdict = worst(report.as_checks(found["checks"])).value
    if found["verdict"] != verdict:
        yield f"{REPORT} says {found['verdict']}, its checks say {verdict}"
    if found["evidence"]["timeline_head"] != bundle.timeline.read().head:
        yield f"{REPORT} was written for another {TIMELINE}"
    if any(approval not in found["approvals"] for approval in bundle.approved()):
        yield f"{REPORT} leaves out an approval, or a broken glass, of {TIMELINE}"
    if found["summary"] != report.summary(found):
        yield f"the summary in {REPORT} is not what its chain says"
    if found["evidence"]["signed"] and not (bundle.path / signature.SIGNATURE).exists():
        yield f"{REPORT} says that it is signed, but {signature.SIGNATURE} is missing"

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import junit, report, signature, verification
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.report import Circumstances
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.signature import Signer
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import html


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return signature.signer(key, run)


@pytest.fixture
def trusted(tmp_path: Path, signer: Signer) -> Path:
    path = tmp_path / "trusted"
    path.write_text(signer.allowed_signers)
    return path


@pytest.fixture
def folder(about: Circumstances, bundle: Bundle, host_lost: dict[str, t.Any], ledger: bytes, signer: Signer) -> Path:
    """A drill, sealed and signed; files can be written again, as whoever forges them would see to."""
    bundle.add("ledger.jsonl", ledger)
    bundle.timeline.append("sealed")
    found = report.assemble(about, report.of_judged(host_lost), bundle.timeline.read(), "2026-11-23T09:40:00Z")
    contents = {
        "report.json": report.as_text(found),
        "report.html": html.page(found, ledger),
        "junit.xml": junit.junit(found),
        "report.schema.json": report.SCHEMA_FILE.read_bytes(),
    }
    bundle.seal(contents, signer, run)
    for path in bundle.path.iterdir():
        path.chmod(0o644)
    return bundle.path


def verdicts(folder: Path, trusted: Path | None) -> dict[str, str]:
    return {check.name: check.verdict.value for check in verification.verify(folder, trusted, run)}


def reasons(folder: Path, trusted: Path | None = None) -> str:
    return "; ".join(check.reason for check in verification.verify(folder, trusted, run) if check.verdict == "failed")


def test_what_nobody_touched_passes(folder: Path, trusted: Path) -> None:
    assert set(verdicts(folder, trusted).values()) == {"passed"}


def test_without_a_key_from_elsewhere_the_signer_is_unknown(folder: Path) -> None:
    found = verdicts(folder, None)
    assert found.pop("signer_trusted") == "unknown"
    assert set(found.values()) == {"passed"}


@pytest.mark.parametrize(
    "name",
    [
        "report.json",
        "report.html",
        "timeline.jsonl",
        "ledger.jsonl",
        "junit.xml",
        "report.schema.json",
        "allowed_signers",
    ],
)
def test_a_single_changed_byte_is_named_by_its_file(folder: Path, trusted: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    assert verdicts(folder, trusted)["files_as_sealed"] == "failed"
    assert f"{name} was changed" in reasons(folder)


def test_a_changed_manifest_is_not_signed(folder: Path, trusted: Path) -> None:
    (folder / "report.html").write_text("all is well")
    (folder / signature.MANIFEST).write_text(signature.manifest(folder))
    found = verdicts(folder, trusted)
    assert found["files_as_sealed"] == "passed"
    assert found["signature_good"] == "failed"
    assert found["signer_trusted"] == "failed"


def test_a_forger_with_a_key_of_his_own_is_not_trusted(folder: Path, trusted: Path, tmp_path: Path) -> None:
    key = tmp_path / "forger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    forger = signature.signer(key, run)
    (folder / "report.html").write_text("all is well")
    (folder / signature.ALLOWED_SIGNERS).write_text(forger.allowed_signers)
    (folder / signature.MANIFEST).write_text(signature.manifest(folder))
    signature.sign(folder, forger, run)
    found = verdicts(folder, trusted)
    assert found["signature_good"] == "passed"
    assert found["signer_trusted"] == "failed"


def rewrite(folder: Path, change: t.Callable[[dict[str, t.Any]], None]) -> None:
    """As the key's owner might: report.json is changed, and everything is hashed anew."""
    found = json.loads((folder / "report.json").read_text())
    change(found)
    (folder / "report.json").write_bytes(report.as_text(found))


def better_verdict(found: dict[str, t.Any]) -> None:
    found["checks"][0]["verdict"] = "failed"


def better_figure(found: dict[str, t.Any]) -> None:
    found["summary"]["rto_seconds"] = 0.1


def other_schema(found: dict[str, t.Any]) -> None:
    del found["not_tested"]


def other_timeline(found: dict[str, t.Any]) -> None:
    found["evidence"]["timeline_head"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (better_verdict, "report.json says passed, its checks say failed"),
        (better_figure, "the summary in report.json is not what its chain says"),
        (other_schema, "not_tested: it is missing"),
        (other_timeline, "report.json was written for another timeline.jsonl"),
    ],
)
def test_a_report_that_contradicts_itself_fails(
    folder: Path, change: t.Callable[[dict[str, t.Any]], None], said: str
) -> None:
    rewrite(folder, change)
    assert verdicts(folder, None)["report_agrees"] == "failed"
    assert said in reasons(folder)


def test_a_changed_event_breaks_the_chain(folder: Path) -> None:
    timeline = folder / "timeline.jsonl"
    timeline.write_bytes(timeline.read_bytes().replace(b"says off", b"says on!"))
    assert verdicts(folder, None)["timeline_whole"] == "failed"
    assert "does not follow from line" in reasons(folder)


def test_an_exchanged_ledger_is_not_the_one_of_the_timeline(folder: Path) -> None:
    (folder / "ledger.jsonl").write_bytes(b"")
    (folder / signature.MANIFEST).write_text(signature.manifest(folder))
    assert "ledger.jsonl is not the file that was added in line" in reasons(folder)


def test_a_folder_that_was_never_sealed_fails(bundle: Bundle) -> None:
    [check] = verification.verify(bundle.path, None, run)
    assert check.verdict == "failed"
    assert "has no SHA256SUMS" in check.reason


def test_an_unsigned_folder_is_unknown_and_a_removed_signature_fails(folder: Path, trusted: Path) -> None:
    (folder / signature.SIGNATURE).unlink()
    found = verdicts(folder, trusted)
    assert found["signature_good"] == "unknown"
    assert found["signer_trusted"] == "unknown"
    assert found["report_agrees"] == "failed"
    assert "says that it is signed" in reasons(folder)


def test_a_report_that_leaves_a_broken_glass_out_is_found_out(bundle: Bundle, about: Circumstances) -> None:
    broken = {"kind": "break_glass", "reason": "nobody answers"}
    bundle.timeline.append("approval", approval=broken)
    for approvals, said in (([broken], ""), ([], "leaves out an approval, or a broken glass")):
        found = report.assemble(about, {"approvals": approvals}, bundle.timeline.read(), "2026-11-23T09:40:00Z")
        bundle.seal({"report.json": report.as_text(found)}, None, run)
        assert (said in reasons(bundle.path)) if said else "leaves out" not in reasons(bundle.path)


def test_the_commands_on_the_page_work(folder: Path) -> None:
    """With nothing but coreutils, OpenSSH and Python's standard library."""
    for command in html.verify_commands():
        done = subprocess.run(command, shell=True, cwd=folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_commands_on_the_page_see_a_change(folder: Path) -> None:
    timeline = folder / "timeline.jsonl"
    timeline.write_bytes(timeline.read_bytes().replace(b"says off", b"says on!"))
    sums, _signed, chain = html.verify_commands()
    assert subprocess.run(sums, shell=True, cwd=folder, check=False, capture_output=True).returncode != 0
    assert subprocess.run(chain, shell=True, cwd=folder, check=False, capture_output=True).returncode != 0


def test_the_command_on_the_page_forgives_a_torn_line(bundle: Bundle) -> None:
    with bundle.timeline.path.open("ab") as file:
        file.write(b'{"clock":"control","operator":{"awx":{}}')
    bundle.timeline.append("sealed")
    (bundle.path / "report.json").write_text(json.dumps({"evidence": {"timeline_head": bundle.timeline.read().head}}))
    done = subprocess.run(html.CHAIN_COMMAND, shell=True, cwd=bundle.path, check=False, capture_output=True, text=True)
    assert done.stdout == "timeline.jsonl: OK\n", done.stderr

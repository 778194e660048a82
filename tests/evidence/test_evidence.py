# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reader who trusts nobody finds: an unbroken signature, and the same figures when counted again."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import typing as t
from pathlib import Path
from xml.etree import ElementTree

from lab_hosts import Lab

NANO = 1_000_000_000


def report(folder: Path) -> dict[str, t.Any]:
    return t.cast(dict[str, t.Any], json.loads((folder / "report.json").read_text(encoding="utf-8")))


def ledger(folder: Path) -> list[dict[str, t.Any]]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]


def acked(folder: Path) -> list[dict[str, t.Any]]:
    return [line for line in ledger(folder) if line.get("outcome") in {"acked", "acked_unsafe"}]


def checksums_hold(folder: Path) -> bool:
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 0


def signature_holds(folder: Path, public: str, tmp_path: Path) -> bool:
    signers = tmp_path / "signers"
    signers.write_text(f"reader {public}\n", encoding="utf-8")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "reader", "-n", "fraiseql-resilience"]
    command += ["-s", str(folder / "SHA256SUMS.sig")]
    manifest = (folder / "SHA256SUMS").read_bytes()
    return subprocess.run(command, input=manifest, check=False, capture_output=True).returncode == 0


def test_it_passed_and_every_check_says_why(folder: Path) -> None:
    found = report(folder)
    assert found["verdict"] == "passed", [check for check in found["checks"] if check["verdict"] != "passed"]
    assert found["checks"]
    assert all(check["reason"] for check in found["checks"])
    assert found["not_tested"], "no drill tests everything"


def test_it_says_what_it_was_made_with(folder: Path) -> None:
    versions = report(folder)["versions"]
    assert re.fullmatch(r"1[57]", versions["postgresql"])
    assert re.fullmatch(r"2\.\d+(\.\d+)*", versions["pgbackrest"])
    assert {"ansible-core", "fraiseql.resilience", "python"} <= set(versions)


def test_it_is_signed_by_the_labs_key_and_by_no_other(folder: Path, lab: Lab, tmp_path: Path) -> None:
    public = (lab.directory / "evidence_key.pub").read_text(encoding="utf-8").strip()
    assert checksums_hold(folder)
    assert signature_holds(folder, public, tmp_path)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    assert not signature_holds(folder, (tmp_path / "other.pub").read_text(encoding="utf-8").strip(), tmp_path)


def test_a_changed_byte_is_seen(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    page = copy / "report.json"
    page.write_text(page.read_text(encoding="utf-8").replace('"passed"', '"passes"', 1), encoding="utf-8")
    assert not checksums_hold(copy)


def test_every_file_is_in_the_manifest(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    named = {name.lstrip("*./"): digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    signature = {"SHA256SUMS", "SHA256SUMS.sig"}
    assert set(named) == set(there) - signature
    assert all(hashlib.sha256(there[name].read_bytes()).hexdigest() == digest for name, digest in named.items())


def test_junit_agrees(folder: Path) -> None:
    cases = ElementTree.parse(folder / "junit.xml").getroot().iter("testcase")
    verdicts = {case.get("name"): case.find("failure") is None and case.find("error") is None for case in cases}
    assert verdicts
    assert all(verdicts.values()), verdicts


def test_the_rto_is_the_clients_longest_silence(folder: Path) -> None:
    """Counted again from the ledger: no two acknowledgements of any client lie further apart than the RTO says."""
    found = report(folder)
    ends = sorted(line["end_ns"] for line in acked(folder))
    silence = max(after - before for before, after in itertools.pairwise(ends)) / NANO
    resolution = found["probe_interval_seconds"] + 0.05
    # A switchover may be so short that no outage is reported. How short it must be is for `make bench` to say.
    assert abs((found["rto_seconds"] or 0.25) - silence) <= resolution


def test_no_client_failed_in_a_planned_switchover(folder: Path) -> None:
    if report(folder)["scenario"] == "planned_switchover":
        outcomes = {line["outcome"] for line in ledger(folder) if "outcome" in line}
        assert outcomes == {"acked"}


def test_acknowledged_rows_are_there_or_accounted_for(folder: Path, lab: Lab) -> None:
    """Each acknowledged row is looked up in the database of today; what is missing is what the report calls lost."""
    [header] = [line for line in ledger(folder) if line.get("type") == "header"]
    rows = lab.sql(lab.primary, f"SELECT client, seq FROM resilience.probe WHERE run = '{header['run']}'", "resilience")
    there = {(int(client), int(seq)) for client, seq in rows}
    lost = [line for line in acked(folder) if (line["client"], line["seq"]) not in there]
    if report(folder)["scenario"] == "data_loss":
        assert there, "nothing was restored at all"
        return
    assert len(lost) == report(folder)["rpo"]["transactions"], lost[:5]
    # Across regions nobody waits for a confirmation, and the loss is accepted before it happens.
    assert not lost or report(folder)["scenario"] == "region_lost"

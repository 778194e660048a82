# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed, run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandFailed, InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import signature


def make_key(path: Path, passphrase: str = "") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)], check=True)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "plans").mkdir(parents=True)
    (made / "report.json").write_text("{}\n")
    (made / "plans" / "with blanks.json").write_text("[]\n")
    (made / signature.MANIFEST).write_text(signature.manifest(made))
    return made


def test_sha256sum_reads_the_manifest(folder: Path) -> None:
    said = subprocess.run(
        ["sha256sum", "--check", "--strict", signature.MANIFEST], cwd=folder, check=True, capture_output=True, text=True
    )
    assert said.stdout == "plans/with blanks.json: OK\nreport.json: OK\n"


def test_an_untouched_folder_has_no_differences(folder: Path) -> None:
    assert signature.differences(folder) == []


def edit(folder: Path) -> None:
    (folder / "report.json").write_text("{ }\n")


def take_out(folder: Path) -> None:
    (folder / "report.json").unlink()


def put_in(folder: Path) -> None:
    (folder / "more.json").write_text("")


def strike_out(folder: Path) -> None:
    manifest = folder / signature.MANIFEST
    manifest.write_text("".join(line for line in manifest.read_text().splitlines(True) if "report" not in line))


def scribble(folder: Path) -> None:
    manifest = folder / signature.MANIFEST
    manifest.write_text(manifest.read_text() + "trust me\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edit, "report.json was changed"),
        (take_out, "report.json is missing"),
        (put_in, "more.json is not in SHA256SUMS"),
        (strike_out, "report.json is not in SHA256SUMS"),
        (scribble, "SHA256SUMS has a line that names no file: 'trust me'"),
    ],
)
def test_each_change_is_named(folder: Path, change: t.Callable[[Path], None], said: str) -> None:
    change(folder)
    assert said in signature.differences(folder)


def test_signed_and_verified_by_openssh(folder: Path, key: Path) -> None:
    by = signature.signer(key, run)
    (folder / signature.ALLOWED_SIGNERS).write_text(by.allowed_signers)
    signature.sign(folder, by, run)
    assert signature.verify(folder, folder / signature.ALLOWED_SIGNERS, run) is None
    command = (
        f"ssh-keygen -Y verify -f {signature.ALLOWED_SIGNERS} -I {signature.IDENTITY} -n {signature.NAMESPACE} "
        f"-s {signature.SIGNATURE} < {signature.MANIFEST}"
    )
    assert subprocess.run(command, shell=True, cwd=folder, check=False, capture_output=True).returncode == 0


def test_a_changed_manifest_is_not_signed(folder: Path, key: Path) -> None:
    by = signature.signer(key, run)
    allowed = folder / signature.ALLOWED_SIGNERS
    allowed.write_text(by.allowed_signers)
    signature.sign(folder, by, run)
    scribble(folder)
    assert "incorrect signature" in (signature.verify(folder, allowed, run) or "").lower()


def test_another_key_is_not_the_signer(folder: Path, key: Path, tmp_path: Path) -> None:
    signature.sign(folder, signature.signer(key, run), run)
    other = tmp_path / "allowed"
    other.write_text(signature.signer(make_key(tmp_path / "other"), run).allowed_signers)
    assert signature.verify(folder, other, run)


def test_a_signature_for_another_purpose_does_not_count(folder: Path, key: Path) -> None:
    by = signature.signer(key, run)
    (folder / signature.ALLOWED_SIGNERS).write_text(by.allowed_signers)
    manifest = (folder / signature.MANIFEST).read_text()
    said = run(["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(key)], timeout=10, stdin=manifest)
    (folder / signature.SIGNATURE).write_text(said.stdout)
    assert signature.verify(folder, folder / signature.ALLOWED_SIGNERS, run)


def test_the_signer_is_named_by_its_fingerprint(key: Path) -> None:
    by = signature.signer(key, run)
    listed = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True).stdout
    assert by.fingerprint == listed.split()[1]
    assert by.public.split() == key.with_suffix(".pub").read_text().split()[:2]


def test_a_private_key_alone_is_enough(key: Path) -> None:
    expected = signature.signer(key, run)
    key.with_suffix(".pub").unlink()
    assert signature.signer(key, run) == expected


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        signature.signer(tmp_path / "none", run)
    assert "ssh-keygen -t ed25519" in caught.value.as_result()["msg"]


def test_a_key_that_wants_a_passphrase_is_refused_without_a_question(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be signed"):
        signature.signer(make_key(tmp_path / "locked", "a passphrase"), run)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("not a key\n")
    with pytest.raises(InputError, match="cannot be signed"):
        signature.signer(tmp_path / "note", run)


def test_without_ssh_keygen_there_is_no_signature(tmp_path: Path, key: Path) -> None:
    def missing(argv: t.Sequence[str], **_: t.Any) -> Completed:
        raise CommandFailed(f"{argv[0]} cannot be started: No such file or directory", argv=argv, rc=127)

    with pytest.raises(InputError, match="ssh-keygen cannot be started"):
        signature.signer(key, missing)


def test_the_folder_may_be_moved(folder: Path, key: Path, tmp_path: Path) -> None:
    by = signature.signer(key, run)
    (folder / signature.ALLOWED_SIGNERS).write_text(by.allowed_signers)
    signature.sign(folder, by, run)
    moved = Path(shutil.move(folder, tmp_path / "elsewhere"))
    assert signature.verify(moved, moved / signature.ALLOWED_SIGNERS, run) is None

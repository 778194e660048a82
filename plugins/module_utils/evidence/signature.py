# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SHA256SUMS and its signature, as ``sha256sum --check`` and ``ssh-keygen -Y verify`` read them."""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, InputError

#: What a signature is for: one made for anything else does not verify.
NAMESPACE = "fraiseql-resilience"
#: The name of the signer in allowed_signers.
IDENTITY = "resilience-evidence"
MANIFEST = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
ALLOWED_SIGNERS = "allowed_signers"
#: Seconds; signing takes milliseconds, unless an agent or a security token waits for somebody.
TIMEOUT = 30.0
#: No question of ssh-keygen is ever shown to anybody.
QUIET = {"SSH_ASKPASS_REQUIRE": "never", "SSH_ASKPASS": "/bin/false"}


@dataclass(frozen=True)
class Signer:
    """A key that signs: its file, its public half as one line, its SHA256 fingerprint."""

    key: Path
    public: str
    fingerprint: str

    @property
    def allowed_signers(self) -> str:
        return f'{IDENTITY} namespaces="{NAMESPACE}" {self.public}\n'


def signer(key: Path, run: Runner) -> Signer:
    """The key at ``key``, tried out: a key that cannot sign is found before the operation, not after it.

    :raises InputError: it is missing, is no key, or wants a passphrase.
    """
    if not key.is_file():
        raise InputError(
            "there is no key to sign the evidence with",
            given=f"resilience_evidence_key={key}",
            next_step=f"make one with: ssh-keygen -t ed25519 -N '' -C {IDENTITY} -f {key}",
        )
    try:
        public = _public(key, run)
        fingerprint = run(["ssh-keygen", "-lf", "-"], timeout=TIMEOUT, stdin=public, env=QUIET).stdout.split()[1]
        run(_sign(key), timeout=TIMEOUT, stdin="can it sign?", env=QUIET)
    except CommandError as error:
        raise InputError(
            f"the evidence cannot be signed with this key ({error.stderr_tail.strip() or error.message})",
            given=f"resilience_evidence_key={key}",
            possible="a private key without a passphrase, or, where an agent holds the key, its public half",
        ) from error
    return Signer(key, public, fingerprint)


def _public(key: Path, run: Runner) -> str:
    beside = key if key.suffix == ".pub" else key.with_name(key.name + ".pub")
    if beside.is_file():
        text = beside.read_text(encoding="utf-8")
    else:
        text = run(["ssh-keygen", "-y", "-f", str(key)], timeout=TIMEOUT, env=QUIET).stdout
    return " ".join(text.split()[:2])


def _sign(key: Path) -> list[str]:
    return ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)]


def sign(folder: Path, by: Signer, run: Runner) -> None:
    """Write SHA256SUMS.sig.

    :raises CommandError: ssh-keygen would not.
    """
    manifest = (folder / MANIFEST).read_text(encoding="utf-8")
    signature = run(_sign(by.key), timeout=TIMEOUT, stdin=manifest, env=QUIET).stdout
    (folder / SIGNATURE).write_text(signature, encoding="ascii")


def verify(folder: Path, allowed_signers: Path, run: Runner) -> str | None:
    """Why the signature is not good; ``None`` when it is."""
    manifest = (folder / MANIFEST).read_text(encoding="utf-8", errors="surrogateescape")
    try:
        verified(manifest, folder / SIGNATURE, allowed_signers, NAMESPACE, run)
    except CommandError as error:
        return error.stderr_tail.strip() or error.message
    return None


@dataclass(frozen=True)
class Verified:
    """Whose signature it is: the names that the list of trusted keys has for the key, and its SHA256 fingerprint."""

    principals: tuple[str, ...]
    fingerprint: str


def verified(content: str, signature: Path, allowed_signers: Path, namespace: str, run: Runner) -> Verified:
    """Who signed ``content``.

    :raises CommandError: the signature is not good, is for something else, or its key is none of ``allowed_signers``.
    """
    files = ["-s", str(signature), "-f", str(allowed_signers)]
    # Whoever keeps a list of trusted keys names their owners in it as he likes.
    named = run(["ssh-keygen", "-Y", "find-principals", *files], timeout=TIMEOUT, env=QUIET).stdout.splitlines()
    principals = tuple(line.strip() for line in named)
    argv = ["ssh-keygen", "-Y", "verify", *files, "-I", principals[0], "-n", namespace]
    said = run(argv, timeout=TIMEOUT, stdin=content, env=QUIET).stdout
    return Verified(principals, said.split()[-1])


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest(folder: Path) -> str:
    """SHA256SUMS of all files of the folder, its own and its signature left out."""
    names = sorted(path.relative_to(folder).as_posix() for path in files(folder))
    return "".join(f"{digest(folder / name)}  {name}\n" for name in names)


def files(folder: Path) -> t.Iterator[Path]:
    """What the manifest has to name."""
    return (path for path in folder.rglob("*") if path.is_file() and path.name not in (MANIFEST, SIGNATURE))


def differences(folder: Path) -> list[str]:
    """What the folder and its manifest disagree about, by file name; empty when they agree."""
    text = (folder / MANIFEST).read_text(encoding="utf-8", errors="replace")
    named: dict[str, str] = {}
    found = []
    for line in text.splitlines():
        hexadecimal, separator, name = line.partition("  ")
        if not separator or len(hexadecimal) != 64:
            found.append(f"{MANIFEST} has a line that names no file: {line[:80]!r}")
        named[name] = hexadecimal
    there = {path.relative_to(folder).as_posix(): path for path in files(folder)}
    found += [f"{name} is missing" for name in sorted(set(named) - set(there) - {""})]
    found += [f"{name} is not in {MANIFEST}" for name in sorted(set(there) - set(named))]
    found += [f"{name} was changed" for name in sorted(set(there) & set(named)) if digest(there[name]) != named[name]]
    return found

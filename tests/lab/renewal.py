# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator does before a rotation: a new passphrase in inventory and escrow, new certificates in files."""

from __future__ import annotations

import secrets
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import yaml
from lab_hosts import Lab

from ansible_collections.fraiseql.resilience.plugins.module_utils.key_id import key_id

DAYS = 900


@dataclass(frozen=True)
class NextKey:
    """The generations, and names of their keys."""

    earlier: int
    generation: int
    earlier_id: str
    key_id: str


def next_key(lab: Lab, *, in_escrow: bool = True) -> NextKey:
    """Describe one more generation of the repositories' key, as docs/encryption.md says."""
    path, escrow = lab.directory / "secrets.yml", lab.directory / "escrow.yml"
    known = yaml.safe_load(path.read_text(encoding="utf-8"))
    earlier, passphrase = int(known.get("resilience_cipher_generation", 1)), secrets.token_hex(24)
    before = known["resilience_cipher_passphrase"]
    known["resilience_cipher_passphrases_old"] = {
        **known.get("resilience_cipher_passphrases_old", {}),
        earlier: before,
    }
    known |= {"resilience_cipher_generation": earlier + 1, "resilience_cipher_passphrase": passphrase}
    path.write_text(yaml.safe_dump(known), encoding="utf-8")
    if in_escrow:
        into_escrow(escrow, passphrase)
    vars(lab).pop("secrets", None)
    return NextKey(earlier, earlier + 1, key_id(before), key_id(passphrase))


def forget_earlier(lab: Lab) -> None:
    """Describe the newest generation alone; what earlier ones encrypted is left where it is."""
    path = lab.directory / "secrets.yml"
    known = yaml.safe_load(path.read_text(encoding="utf-8"))
    known.pop("resilience_cipher_passphrases_old", None)
    path.write_text(yaml.safe_dump(known), encoding="utf-8")


def into_escrow(escrow: Path, passphrase: str) -> None:
    held = yaml.safe_load(escrow.read_text(encoding="utf-8")) or {}
    escrow.write_text(yaml.safe_dump({**held, key_id(passphrase): passphrase}), encoding="utf-8")


def new_certificates(lab: Lab, folder: Path, *, authority: bool = False, days: int = DAYS) -> dict[str, str]:
    """A certificate for each host in ``folder``, by the lab's authority or a new one. The variables that lead there.

    The object store keeps its certificate, so with a new authority the former one stays trusted beside it.
    """
    pki = (lab.directory / "pki").resolve()
    ca, ca_key = pki / "ca.crt", pki / "ca.key"
    if authority:
        ca, ca_key = folder / "ca.crt", folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                str(DAYS), "-subj", "/CN=the next authority", "-keyout", ca_key, "-out", ca)  # fmt: skip
    for host in lab.group("lab"):
        request, key, cert = (folder / f"{host}.{kind}" for kind in ("csr", "key", "crt"))
        names = f"subjectAltName=DNS:{host},IP:{lab.variable(host, 'ansible_host')}"
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                f"/CN={host}", "-addext", names, "-addext", "extendedKeyUsage=serverAuth,clientAuth", "-keyout", key,
                "-out", request)  # fmt: skip
        openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-CAserial",
                folder / "serial", "-days", str(days), "-copy_extensions", "copy", "-out", cert)  # fmt: skip
    of_host = f"{folder}/{{{{ inventory_hostname }}}}"
    return {"tls_ca": str(ca), "tls_cert": f"{of_host}.crt", "tls_key": f"{of_host}.key"}


def keep(lab: Lab, folder: Path) -> None:
    """The lab's own files are what its hosts have now; the store has kept its certificate."""
    for host in set(lab.group("lab")) - set(lab.group("stores")):
        for kind in ("crt", "key"):
            (lab.directory / "pki" / f"{host}.{kind}").write_bytes((folder / f"{host}.{kind}").read_bytes())


def openssl(*arguments: t.Any) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as ``openssl`` reads them from files, and as services show them to a client."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import struct
import typing as t
from datetime import datetime
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.certificate import Certificate, Facts, Served

BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
TIMEOUT = 10.0
#: What PostgreSQL and PgBouncer take before TLS begins.
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
#: A host is server to some of its peers and client of others.
PURPOSES = ("sslserver", "sslclient")


def read(path: str, run: Runner) -> list[Certificate]:
    """The certificates of a PEM file, in its order.

    :raises InputError: there is no such file, or no certificate in it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the certificate cannot be read: {error}", given=path) from error
    found = [parse(block, run) for block in BLOCK.findall(text)]
    if not found:
        raise InputError("the file holds no certificate", given=path, possible="PEM")
    return found


def parse(pem: str, run: Runner) -> Certificate:
    argv = ["openssl", "x509", "-noout", "-subject", "-issuer", "-startdate", "-enddate", "-fingerprint", "-sha256"]
    said = run([*argv, "-ext", "subjectAltName"], timeout=TIMEOUT, stdin=pem + "\n").stdout
    fields = dict(line.partition("=")[::2] for line in said.splitlines() if "=" in line)
    alternatives = re.search(r"Subject Alternative Name:.*\n\s*(.+)", said)
    try:
        return Certificate(
            subject=fields["subject"].strip(),
            issuer=fields["issuer"].strip(),
            names=tuple(part.strip() for part in alternatives[1].split(",")) if alternatives else (),
            begins=_moment(fields["notBefore"]),
            ends=_moment(fields["notAfter"]),
            fingerprint=fields["sha256 Fingerprint"].replace(":", "").lower(),
            pem=pem.strip() + "\n",
        )
    except (KeyError, ValueError) as error:
        raise UnknownError(f"what openssl says of a certificate cannot be read: {error}") from error


def facts(cert: str, key: str | None, ca: str | None, run: Runner) -> Facts:
    """A host's certificate, with its key and the authorities that have to have signed it."""
    certificate = read(cert, run)[0]
    fits = None if key is None else _fits(certificate, key, run)
    refused = "" if ca is None else _refused(cert, ca, run)
    return Facts(certificate, fits, None if ca is None else not refused, refused)


def served(address: str, port: int, protocol: str, ca: str) -> Served:
    """What a port shows to a client that verifies authority and name.

    :param protocol: ``postgres`` (TLS is asked for first, also of PgBouncer) or ``tls``.
    """
    try:
        plain = socket.create_connection((address, port), timeout=TIMEOUT)
    except OSError as error:
        return Served(port, reached=False, problem=f"{address} does not answer: {error}")
    with plain:
        try:
            if protocol == "postgres":
                plain.sendall(SSL_REQUEST)
                if plain.recv(1) != b"S":
                    return Served(port, reached=True, problem="it offers no TLS")
            context = ssl.create_default_context(cafile=ca)
            # As libpq, PgBouncer and pgBackRest verify; from 3.13 on, Python also asks authorities for their key usage.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            with context.wrap_socket(plain, server_hostname=address) as secure:
                shown = secure.getpeercert(binary_form=True) or b""
        except (OSError, ssl.SSLError) as error:
            return Served(port, reached=True, problem=f"a client would not trust it: {error}")
    return Served(port, reached=True, fingerprint=hashlib.sha256(shown).hexdigest())


def _fits(certificate: Certificate, key: str, run: Runner) -> bool:
    of_certificate = run(["openssl", "x509", "-noout", "-pubkey"], timeout=TIMEOUT, stdin=certificate.pem).stdout
    done = run(["openssl", "pkey", "-in", key, "-pubout", "-passin", "pass:"], timeout=TIMEOUT, check=False)
    if done.rc != 0:
        raise InputError(
            "the key cannot be read", given=key, possible="a PEM file without a passphrase, readable by this user"
        )
    return of_certificate.strip() == done.stdout.strip()


def _refused(cert: str, ca: str, run: Runner) -> str:
    """Why the authorities do not vouch for it; its time is judged elsewhere. Empty if they do."""
    for purpose in PURPOSES:
        argv = ["openssl", "verify", "-no_check_time", "-purpose", purpose, "-CAfile", ca, "-untrusted", cert, cert]
        done = run(argv, timeout=TIMEOUT, check=False)
        if done.rc != 0:
            said = re.search(r"error \d+.*?: (.+)", done.stderr + done.stdout)
            return f"as {purpose}: {said[1].strip() if said else 'it is not signed by them'}"
    return ""


def _moment(text: str) -> float:
    return datetime.strptime(text.strip().replace("GMT", "+0000"), "%b %d %H:%M:%S %Y %z").timestamp()


def bundle(certificates: t.Iterable[Certificate]) -> str:
    """One file of authorities, each once."""
    return "".join({one.fingerprint: one.pem for one in certificates}.values())

# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can a host use this certificate, and for how long? Pure: facts in, checks out; moments are seconds since 1970."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

DAY = 86400.0


@dataclass(frozen=True)
class Certificate:
    """One certificate of a file. ``names``: its subject alternative names, as ``DNS:…`` and ``IP Address:…``."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: float
    ends: float
    fingerprint: str
    pem: str

    def as_dict(self, now: float) -> dict[str, t.Any]:
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": list(self.names),
            "begins_utc": utc(self.begins),
            "expires_utc": utc(self.ends),
            "expires": self.ends,
            "days_left": round((self.ends - now) / DAY, 2),
            "fingerprint": self.fingerprint,
            "pem": self.pem,
        }


@dataclass(frozen=True)
class Facts:
    """What was seen of a host's certificate.

    ``fits_key`` and ``signed`` are None where that was not looked at; ``refused`` says why it is not signed.
    """

    certificate: Certificate
    fits_key: bool | None = None
    signed: bool | None = None
    refused: str = ""


@dataclass(frozen=True)
class Served:
    """What a port shows. ``problem``: why a client would not trust it, or, where not ``reached``, why not."""

    port: int
    reached: bool
    fingerprint: str | None = None
    problem: str = ""


def utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def judge(facts: Facts, address: str | None, now: float, min_days: float, not_sooner_than: float | None) -> list[Check]:
    """Whether the certificate does what a host needs of it.

    :param address: the name or address that peers connect to.
    :param min_days: days that it has to be valid for, from now on.
    :param not_sooner_than: the end of the one that it replaces.
    """
    checks = [_valid(facts.certificate, now, min_days)]
    if address is not None:
        well = names(facts.certificate.names, address)
        shown = ", ".join(facts.certificate.names) or "no name"
        checks.append(_check(f"it is for {address}", well, f"it is for {shown}"))
    if facts.fits_key is not None:
        checks.append(_check("it fits its key", facts.fits_key, "the key belongs to another certificate"))
    if facts.signed is not None:
        checks.append(_check("the authority signed it", facts.signed, facts.refused or "it did not"))
    if not_sooner_than is not None:
        ends = facts.certificate.ends
        said = f"it ends at {utc(ends)}, the one that it replaces at {utc(not_sooner_than)}"
        checks.append(_check("it does not end sooner than the one before", ends >= not_sooner_than, said))
    return checks


def judge_served(served: t.Iterable[Served], certificate: Certificate) -> list[Check]:
    """Whether services show the certificate that is installed, to a client that verifies authority and name."""
    return [_served(one, certificate) for one in served]


def _served(one: Served, certificate: Certificate) -> Check:
    name = f"port {one.port} shows it"
    if not one.reached:
        return Check(name, Verdict.UNKNOWN, one.problem)
    if one.problem:
        return Check(name, Verdict.FAILED, one.problem)
    other = "another certificate is shown: the service has not read this one"
    return _check(name, one.fingerprint == certificate.fingerprint, other)


def names(alternatives: t.Iterable[str], address: str) -> bool:
    """Whether an address or a host's name is among the alternative names; a wildcard stands for one label."""
    listed = [entry.partition(":")[::2] for entry in alternatives]
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        return any(kind == "DNS" and _same_name(name, address) for kind, name in listed)
    return any(kind == "IP Address" and _address(name) == wanted for kind, name in listed)


def _same_name(pattern: str, name: str) -> bool:
    pattern, name = pattern.lower(), name.lower()
    return pattern == name or (pattern.startswith("*.") and pattern[2:] == name.partition(".")[2])


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _valid(certificate: Certificate, now: float, min_days: float) -> Check:
    name = f"it is valid for {min_days:g} days" if min_days else "it is valid"
    if now < certificate.begins:
        return Check(name, Verdict.FAILED, f"it begins at {utc(certificate.begins)}")
    left = (certificate.ends - now) / DAY
    said = f"it ends at {utc(certificate.ends)}, in {left:.1f} days"
    return Check(name, Verdict.PASSED if left > 0 and left >= min_days else Verdict.FAILED, said)


def _check(name: str, well: bool, otherwise: str) -> Check:
    return Check(name, Verdict.PASSED if well else Verdict.FAILED, "" if well else otherwise)

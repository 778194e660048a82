# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module certificate_info on real certificates and a real TLS server: each fault of one is found, and nothing else."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
from local_port import reserved

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.certificate import SSL_REQUEST
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.certificate import names
from ansible_collections.fraiseql.resilience.plugins.modules import certificate_info

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
#: An hour on, when each certificate made here has begun.
NOW = time.time() + 3600
DAY = 86400


class Pki:
    """Authorities and certificates in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def key(self, name: str) -> None:
        self.openssl(
            "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", self.path(f"{name}.key")
        )

    def authority(self, name: str) -> None:
        self.key(name)
        self.openssl("req", "-x509", "-key", self.path(f"{name}.key"), "-days", "100", "-subj", f"/CN={name}",
                     "-out", self.path(f"{name}.crt"))  # fmt: skip

    def host(self, name: str, ca: str = "ca", alternatives: str = "DNS:localhost,IP:127.0.0.1", days: int = 50,
             usage: str = "serverAuth,clientAuth") -> None:  # fmt: skip
        self.key(name)
        extensions = f"subjectAltName={alternatives}\nextendedKeyUsage={usage}\n" if alternatives else ""
        (self.folder / f"{name}.ext").write_text(extensions)
        self.openssl(
            "req", "-new", "-key", self.path(f"{name}.key"), "-subj", f"/CN={name}", "-out", self.path(f"{name}.csr")
        )
        self.openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path(f"{ca}.crt"), "-CAkey",
                     self.path(f"{ca}.key"), "-CAcreateserial", "-days", str(days), "-extfile",
                     self.path(f"{name}.ext"), "-out", self.path(f"{name}.crt"))  # fmt: skip

    def look(self, name: str, now: float = NOW, **given: t.Any) -> dict[str, t.Any]:
        spec = certificate_info.argument_spec()
        params = {option: about.get("default") for option, about in spec.items()}
        params |= {"cert": self.path(f"{name}.crt"), "key": self.path(f"{name}.key"), "ca": self.path("ca.crt")}
        return certificate_info.act(params | {"address": "localhost"} | given, command.run, now)


def failed(answer: dict[str, t.Any]) -> list[str]:
    return [check["name"] for check in answer["checks"] if check["verdict"] == "failed"]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.authority("ca")
    made.authority("other")
    made.host("good")
    return made


def test_a_good_one_passes_and_is_described(pki: Pki) -> None:
    answer = pki.look("good", min_days=30, not_sooner_than=NOW + 49 * DAY)
    assert answer["verdict"] == "passed" and len(answer["checks"]) == 5
    assert answer["certificate"]["names"] == ["DNS:localhost", "IP Address:127.0.0.1"]
    assert 49 < answer["certificate"]["days_left"] <= 50
    assert [one["subject"].replace(" ", "") for one in answer["authorities"]] == ["CN=ca"]


@pytest.mark.parametrize(
    ("given", "names_of_checks"),
    [
        ({"address": "pg-a1"}, ["it is for pg-a1"]),
        ({"address": "198.18.1.11"}, ["it is for 198.18.1.11"]),
        ({"min_days": 60}, ["it is valid for 60 days"]),
        ({"not_sooner_than": NOW + 51 * DAY}, ["it does not end sooner than the one before"]),
        ({"now": NOW + 51 * DAY}, ["it is valid"]),
        ({"now": NOW - DAY}, ["it is valid"]),
    ],
)
def test_a_certificate_that_will_not_do_is_found(pki: Pki, given: dict[str, t.Any], names_of_checks: list[str]) -> None:
    assert failed(pki.look("good", **given)) == names_of_checks


def test_a_key_of_another_one_and_another_authority_are_found(pki: Pki) -> None:
    pki.host("second")
    assert failed(pki.look("good", key=pki.path("second.key"))) == ["it fits its key"]
    pki.host("foreign", ca="other")
    answer = pki.look("foreign")
    assert failed(answer) == ["the authority signed it"]
    assert "issuer certificate" in answer["checks"][3]["reason"]


def test_one_that_can_only_be_a_server_is_found(pki: Pki) -> None:
    pki.host("onlyserver", usage="serverAuth")
    [check] = [check for check in pki.look("onlyserver")["checks"] if check["verdict"] == "failed"]
    assert check["name"] == "the authority signed it" and "sslclient" in check["reason"]


def test_two_authorities_are_one_bundle_that_vouches_for_both(pki: Pki) -> None:
    pki.host("next", ca="other")
    more = Path(pki.path("ca.crt")).read_text()
    answer = pki.look("next", ca=pki.path("other.crt"), more_authorities=more)
    assert answer["bundle"].count("BEGIN CERTIFICATE") == 2
    Path(pki.path("both.crt")).write_text(answer["bundle"])
    for name in ("next", "good"):
        assert pki.look(name, ca=pki.path("both.crt"))["verdict"] == "passed"
    again = pki.look("next", ca=pki.path("both.crt"), more_authorities=answer["bundle"])
    assert again["bundle"] == answer["bundle"], "each is there once"


def test_what_is_no_certificate_is_refused(pki: Pki) -> None:
    Path(pki.path("empty.crt")).write_text("nothing")
    with pytest.raises(InputError, match="holds no certificate"):
        pki.look("empty", key=None)
    with pytest.raises(InputError, match="cannot be read"):
        pki.look("missing")
    with pytest.raises(InputError, match="key cannot be read"):
        pki.look("good", key=pki.path("empty.crt"))
    with pytest.raises(InputError, match="no address"):
        pki.look("good", address=None, served=[{"port": 1, "protocol": "tls"}])


class Server:
    """Shows a certificate on a port, at once or after PostgreSQL's request for TLS."""

    def __init__(self, pki: Pki, name: str, *, asks: bool, offers: bool = True) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pki.path(f"{name}.crt"), pki.path(f"{name}.key"))
        self.asks, self.offers = asks, offers
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                plain, _address = self.socket.accept()
            except OSError:
                return
            with plain:
                if self.asks:
                    assert plain.recv(8) == SSL_REQUEST
                    plain.sendall(b"S" if self.offers else b"N")
                try:
                    self.context.wrap_socket(plain, server_side=True).recv(1)
                except OSError:
                    pass


@pytest.mark.parametrize("protocol", ["tls", "postgres"])
def test_what_a_service_shows_is_compared(pki: Pki, protocol: str) -> None:
    pki.host("later")
    server = Server(pki, "good", asks=protocol == "postgres")
    served = [{"port": server.port, "protocol": protocol}]
    assert pki.look("good", served=served)["verdict"] == "passed"
    assert failed(pki.look("later", served=served)) == [f"port {server.port} shows it"], "it has not been read yet"
    answer = pki.look("good", served=served, ca=pki.path("other.crt"))
    assert "would not trust" in answer["checks"][-1]["reason"]
    server.socket.close()


def test_a_port_without_tls_has_failed_and_a_closed_one_is_unknown(pki: Pki) -> None:
    server = Server(pki, "good", asks=True, offers=False)
    assert failed(pki.look("good", served=[{"port": server.port, "protocol": "postgres"}])) != []
    server.socket.close()
    with reserved() as port:
        assert pki.look("good", served=[{"port": port, "protocol": "tls"}])["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("alternatives", "address", "well"),
    [
        (["DNS:pg-a1"], "PG-A1", True),
        (["DNS:*.example.org"], "pg-a1.example.org", True),
        (["DNS:*.example.org"], "a.pg-a1.example.org", False),
        (["DNS:198.18.1.11"], "198.18.1.11", False),
        (["IP Address:2001:DB8:0:0:0:0:0:1"], "2001:db8::1", True),
        ([], "pg-a1", False),
    ],
)
def test_names_are_compared_as_clients_do(alternatives: list[str], address: str, well: bool) -> None:
    assert names(alternatives, address) is well

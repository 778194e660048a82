# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab gets a new key for its repositories, and new certificates; what will not do is refused."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import renewal
import yaml
from lab_hosts import Lab

SECONDS = 600


def report(evidence: Path, operation: str) -> dict[str, t.Any]:
    [path] = evidence.glob(f"*-{operation}-lab/report.json")
    return t.cast(dict[str, t.Any], json.loads(path.read_text(encoding="utf-8")))


def info(lab: Lab) -> dict[str, t.Any]:
    [repository] = lab.group("repositories")
    said = lab.said(repository, "cd / && runuser -u postgres -- pgbackrest --stanza=lab --output=json info")
    [stanza] = json.loads(said)
    return t.cast(dict[str, t.Any], stanza)


@pytest.fixture(scope="module")
def key(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[renewal.NextKey]:
    """The next key is described, and not in escrow yet."""
    secrets = lab.directory / "secrets.yml"
    before = secrets.read_text(encoding="utf-8")
    yield renewal.next_key(lab, in_escrow=False)
    if serving(lab) != yaml.safe_load(secrets.read_text(encoding="utf-8"))["resilience_cipher_generation"]:
        secrets.write_text(before, encoding="utf-8")


def serving(lab: Lab) -> int:
    [repository] = lab.group("repositories")
    words = lab.said(repository, "sed -n 's/^# Serves generation //p' /etc/pgbackrest.conf").split()
    return int(words[0])


def authorities(lab: Lab, host: str) -> int:
    return int(lab.said(host, "grep -c BEGIN /etc/fraiseql-resilience/tls/ca.crt"))


def test_site_does_not_change_the_key(lab: Lab, key: renewal.NextKey, tmp_path: Path) -> None:
    played = lab.play("site", tmp_path, seconds=SECONDS)
    assert played.rc != 0 and "rotate_repository_key" in played.said, played.said
    assert serving(lab) == key.earlier


def test_a_key_that_is_not_in_escrow_is_refused(lab: Lab, key: renewal.NextKey, tmp_path: Path) -> None:
    played = lab.play("rotate_repository_key", tmp_path)
    assert played.rc != 0 and f"escrow has no key {key.key_id}" in played.said, played.said
    assert serving(lab) == key.earlier
    renewal.into_escrow(lab.directory / "escrow.yml", lab.secrets["resilience_cipher_passphrase"])


def test_the_plan_changes_nothing(lab: Lab, key: renewal.NextKey, tmp_path: Path) -> None:
    played = lab.play("rotate_repository_key", tmp_path, "--check", confirm=None)
    assert played.rc == 0, played.said
    assert f"Key {key.earlier_id}" in played.said and f"followed by key {key.key_id}" in played.said
    assert serving(lab) == key.earlier


def test_the_key_is_rotated_and_the_earlier_one_is_still_restorable(
    lab: Lab, key: renewal.NextKey, tmp_path: Path
) -> None:
    before = {backup["label"] for backup in info(lab)["backup"]}
    played = lab.play("rotate_repository_key", tmp_path, seconds=SECONDS)
    assert played.rc == 0, played.said
    found = report(tmp_path, "rotate_repository_key")
    rotated = found["details"]["key_rotation"]
    assert found["verdict"] == "passed"
    assert (rotated["from"]["key_id"], rotated["to"]["key_id"]) == (key.earlier_id, key.key_id)
    stanza = info(lab)
    earlier = rotated["earlier_repositories"]
    assert {repo["status"]["code"] for repo in stanza["repo"]} == {0}
    held = {backup["label"]: backup["database"]["repo-key"] for backup in stanza["backup"]}
    assert before <= set(held) and {held[label] for label in before} <= set(earlier) | set(range(11, 256))
    assert {repo for label, repo in held.items() if label not in before} == {1, 2}
    again = lab.play("rotate_repository_key", tmp_path / "again", seconds=SECONDS)
    assert again.rc == 0, again.said


def test_every_member_restores_from_the_earlier_key(lab: Lab, key: renewal.NextKey) -> None:
    """Its segments are found by the guarded restore_command, which asks no repository by number."""
    stanza = info(lab)
    [first] = [a["min"] for a in stanza["archive"] if a["database"]["repo-key"] > 10][:1]
    for member in lab.members:
        target = f"/tmp/{first}"
        lab.said(
            member,
            "cd / && runuser -u postgres -- pgbackrest --stanza=lab archive-get %s %s && rm %s",
            first,
            target,
            target,
        )


def test_an_earlier_key_is_not_retired_early(lab: Lab, key: renewal.NextKey, tmp_path: Path) -> None:
    played = lab.play("retire_repository_key", tmp_path, retire_generation=key.earlier)
    assert played.rc != 0 and "that is enough from" in played.said, played.said


def test_keys_are_all_in_escrow(lab: Lab, key: renewal.NextKey, tmp_path: Path) -> None:
    played = lab.play("keys", tmp_path)
    assert played.rc == 0 and f"escrow gives key {key.earlier_id}" in played.said, played.said


def test_a_certificate_of_another_host_is_refused(lab: Lab, tmp_path: Path) -> None:
    given = renewal.new_certificates(lab, tmp_path)
    other = {name: path.replace("{{ inventory_hostname }}", lab.members[0]) for name, path in given.items()}
    played = lab.play("rotate_certificates", tmp_path, "--check", confirm=None, **other)
    assert played.rc != 0 and f"it is for DNS:{lab.members[0]}" in played.said, played.said


def test_one_that_ends_sooner_is_refused(lab: Lab, tmp_path: Path) -> None:
    given = renewal.new_certificates(lab, tmp_path, days=40)
    played = lab.play("rotate_certificates", tmp_path, **given)
    assert played.rc != 0 and "the one that it replaces at" in played.said, played.said


def test_certificates_are_rotated_and_no_client_fails(lab: Lab, tmp_path: Path) -> None:
    given = renewal.new_certificates(lab, tmp_path)
    played = lab.play("rotate_certificates", tmp_path, seconds=SECONDS, **given)
    assert played.rc == 0, played.said
    found = report(tmp_path, "rotate_certificates")
    assert found["verdict"] == "passed"
    shown = [check["name"] for check in found["checks"] if "shows it" in check["name"]]
    assert len(shown) == 2 * len(lab.members) + 2, shown
    renewal.keep(lab, tmp_path)


def test_a_new_authority_is_trusted_beside_the_one_that_the_store_needs(lab: Lab, tmp_path: Path) -> None:
    known = {host: authorities(lab, host) for host in lab.members}
    given = renewal.new_certificates(lab, tmp_path, authority=True)
    played = lab.play("rotate_certificates", tmp_path, seconds=SECONDS, **given)
    assert played.rc != 0 and "shows a certificate that the new authority did not sign" in played.said, played.said
    for host in lab.members:
        assert authorities(lab, host) == known[host] + 1
        issuer = lab.said(host, "openssl x509 -noout -issuer -in /etc/fraiseql-resilience/tls/host.crt")
        assert "the next authority" in issuer
    back = renewal.new_certificates(lab, tmp_path)
    played = lab.play("rotate_certificates", tmp_path / "back", seconds=SECONDS, **back)
    assert played.rc == 0, played.said
    renewal.keep(lab, tmp_path)
    assert authorities(lab, lab.members[0]) == 1

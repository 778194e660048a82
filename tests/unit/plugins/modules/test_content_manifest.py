# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module content_manifest on a real standby, with real repositories."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import content_store
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import content_manifest

if t.TYPE_CHECKING:
    from conftest import Protected

PASSPHRASE = "a passphrase of a test"


def act(protected: Protected, monkeypatch: pytest.MonkeyPatch, *, check_mode: bool = False, **given: t.Any) -> t.Any:
    monkeypatch.setenv("PGBACKREST_CONFIG", str(protected.configuration))
    params = {name: option.get("default") for name, option in content_manifest.argument_spec().items()}
    params |= {"descriptor": str(protected.folder / "member.json"), "repos": [1, 2], **given}
    return content_manifest.act(params, check_mode=check_mode, run=command.run)


def client_of(protected: Protected) -> Client:
    return Client(command.run, "orders", options=(f"--config={protected.configuration}",))


def test_it_is_kept_in_every_repository_and_tells_nothing_of_rows(
    protected: Protected, monkeypatch: pytest.MonkeyPatch
) -> None:
    lsn = protected.primary.sql("INSERT INTO resilience.marker VALUES (gen_random_uuid()); SELECT pg_current_wal_lsn()")
    answer = act(protected, monkeypatch, after_lsn=lsn.splitlines()[-1])
    client = client_of(protected)
    for repo in (1, 2):
        assert content_store.listed(client, repo)[-1].text == answer["name"]
        manifest = content_store.get(client, repo, answer["name"], PASSPHRASE)
        assert (manifest["lsn"], manifest["timeline"]) == (answer["lsn"], answer["timeline"]) == (answer["lsn"], 1)
    shown = json.dumps(answer)
    assert 'hash"' not in shown and "listen_addresses" not in shown
    assert answer["manifest"]["unseen"] == {}
    assert set(answer["manifest"]["configuration"]) >= {"postgresql.conf", "conf.d/resilience.conf", "pg_hba.conf"}
    assert "host.key" not in manifest["configuration"], "no secret belongs into a manifest"


def test_the_repository_keeps_it_encrypted(protected: Protected, monkeypatch: pytest.MonkeyPatch) -> None:
    path = next((protected.folder / "repo1/manifests/orders").iterdir())
    assert path.read_bytes().startswith(b"Salted__")
    assert b"resilience" not in path.read_bytes()
    # One wrong key in some 256 seems to fit, and gives noise.
    with pytest.raises((CommandError, UnknownError)):
        content_store.get(client_of(protected), 1, protected.manifest, "another passphrase")


def test_a_manifest_under_another_ones_name_is_none(protected: Protected, tmp_path: Path) -> None:
    folder = protected.folder / "repo1/manifests/orders"
    other = folder / "20200101T000000Z-00000001-0-1.json"
    other.write_bytes((folder / protected.manifest).read_bytes())
    try:
        protected.give(other)
        with pytest.raises(UnknownError, match="says that it is"):
            content_store.get(client_of(protected), 1, other.name, PASSPHRASE)
    finally:
        other.unlink()


def test_in_check_mode_nothing_is_read(protected: Protected, monkeypatch: pytest.MonkeyPatch) -> None:
    names = content_store.listed(client_of(protected), 1)
    assert act(protected, monkeypatch, check_mode=True) == {"changed": True}
    assert content_store.listed(client_of(protected), 1) == names


def test_a_host_that_is_no_member_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no member"):
        content_manifest.member_of(str(tmp_path / "member.json"))


@pytest.mark.parametrize("name", ["", "backup.info", "20261126T021500Z-00000001-0-5145B48.json.tmp", "x-1-0-0.json"])
def test_what_is_no_manifest_is_passed_over(name: str) -> None:
    assert content_store.Name.parse(name) is None


def test_a_name_tells_time_timeline_and_lsn() -> None:
    name = content_store.Name.parse("20261126T021500Z-0000000A-16-B374D848.json")
    assert name is not None
    assert (name.timeline, name.lsn, f"{name.taken:%H:%M}") == (10, 0x16B374D848, "02:15")


def test_pgbackrest_minds_no_manifests_beside_its_backups(protected: Protected) -> None:
    protected.pgbackrest("check")
    assert "status: ok" in protected.pgbackrest("info")
    said = protected.pgbackrest("--repo=1", "--output=text", "--verbose", "verify")
    assert "status: ok" in said and "manifests" not in said

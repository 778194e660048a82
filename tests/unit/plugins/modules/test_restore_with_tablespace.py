# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real cluster with a tablespace: its data cannot be kept by another name, and are restored in their place."""

from __future__ import annotations

import typing as t

import pytest
import real_cluster as real

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import restore
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import RefusedError

pytestmark = [pytest.mark.slow, pytest.mark.skipif(real.REASON is not None, reason=real.REASON or "")]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[real.Cluster]:
    with real.real_cluster() as cluster:
        monkeypatch.setattr(restore, "STATE", cluster.folder / "restore.json")
        yield cluster


def test_a_tablespace_is_restored_in_its_place(cluster: real.Cluster) -> None:
    cluster.as_owner("mkdir", str(cluster.folder / "fast"))
    cluster.sql(f"CREATE TABLESPACE fast LOCATION '{cluster.folder}/fast'")
    cluster.sql("CREATE TABLE rows TABLESPACE fast AS SELECT n FROM generate_series(1, 1000) AS n")
    cluster.backup(1, "full")
    cluster.sql("DELETE FROM rows")
    cluster.archive()
    cluster.kill()
    place = restore.Place(cluster.folder / "data", str(cluster.bin), "none.service", real.become_user())
    client = Client(command.run, real.STANZA, user=real.become_user(), options=(f"--config={cluster.conf}",))
    immediate = {"type": "immediate", "repo": 1}
    with pytest.raises(RefusedError, match="cannot be kept"):
        restore.restore(place, restore.Request(**immediate), client, 60, command.run)
    done = restore.restore(place, restore.Request(**immediate, keep=False), client, 60, command.run)
    assert done["kept"] is None
    auto = cluster.folder / "data/postgresql.auto.conf"
    own = f"restore_command = 'pgbackrest --config={cluster.conf} --stanza={real.STANZA} archive-get %f \"%p\"'\n"
    cluster.write(auto, auto.read_text() + own)
    cluster.start()
    assert cluster.sql("SELECT count(*) FROM rows") == "1000"

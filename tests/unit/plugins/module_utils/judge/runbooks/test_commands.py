# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command only looks if all of it is known to."""

from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import commands


@pytest.mark.parametrize(
    "text",
    [
        "systemctl status pgbackrest.service",
        "sudo systemctl --no-pager list-timers 'resilience-backup@*'",
        "sudo -u postgres pgbackrest --stanza=$CLUSTER info 2>/dev/null | head -20",
        "curl --silent --max-time 3 http://$HOST:8008/healthz | jq .status",
        "curl -sf -m 3 http://a:8008/primary && echo_is_not_needed=1 uptime",
        "journalctl --unit pgbackrest.service --since -1h",
        "PGCONNECT_TIMEOUT=3 psql -h /run -c 'SELECT pg_is_in_recovery(), count(*) FROM pg_stat_replication'",
        "psql -c 'SELECT 1 WHERE lower(a) = b AND (c OR (NOT (d)))'",
        "psql --command 'SHOW server_version' --command \"SELECT 1\"",
        "sudo -u postgres psql -XAtc 'SELECT pg_is_wal_replay_paused()' | grep -x f",
        "openssl x509 -in /etc/host.crt -noout -enddate",
        "openssl s_client -connect $HOST:5432 -starttls postgres",
        "df -h /var/lib/postgresql   # DR: a/b\nfree -m",
        "find /var/lib/pgbackrest -newer /tmp/mark",
        "",
    ],
)
def test_it_looks(text: str) -> None:
    assert list(commands.changes(text)) == []
    assert commands.readable(text)


@pytest.mark.parametrize(
    "text",
    [
        "systemctl stop pgbackrest.service",
        "rm -f /var/lib/x",
        "sudo -u postgres -- pg_ctl promote",
        "ls > /etc/passwd",
        "ls | tee /etc/hosts",
        "ls $(reboot)",
        "cat `reboot`",
        "date # fine\nreboot",
        "date; reboot",
        "date && reboot",
        "date & reboot",
        "pgbackrest --stanza=a expire",
        "curl --request POST https://a/b",
        "curl -so /etc/x https://a/b",
        "journalctl --vacuum-size=1M",
        "psql -f change.sql",
        "psql -c 'DELETE FROM t'",
        "psql -XAtc 'SELECT pg_promote()'",
        "psql -c 'WITH gone AS (DELETE FROM t RETURNING *) SELECT count(*) FROM gone'",
        "psql -c 'SELECT pg_promote()'",
        "psql -c 'SELECT pg_terminate_backend(1)'",
        "psql -c 'SELECT 1' -c 'SELECT pg_switch_wal()'",
        "psql -c 'SELECT 1; DROP TABLE t'",
        "openssl x509 -in a -out b",
        "find / -delete",
        "bash -c ls",
    ],
)
def test_it_may_change_something(text: str) -> None:
    assert list(commands.changes(text))


def test_parameters_are_what_a_shell_would_fill_in() -> None:
    assert commands.parameters('psql -h "$HOST" -c "SELECT ${ONE}, $1, $$" \\$') == {"HOST", "ONE"}


def test_what_no_shell_can_read() -> None:
    assert not commands.readable("grep 'a")
    with pytest.raises(ValueError):
        list(commands.changes("grep 'a"))

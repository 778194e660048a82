# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What wrk says is read rightly, and who was not answered is no sample."""

from __future__ import annotations

import answering
import pytest

SAID = """\
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.91ms    1.2ms  19.33ms   90.00%
  Latency Distribution
     50%    3.91ms
     99%  {p99}
  6808 requests in 1.00s, 2.00MB read
{more}Requests/sec:   6808.85
"""


@pytest.mark.parametrize(("p99", "milliseconds"), [("19.33ms", 19.33), ("850.00us", 0.85), ("1.34s", 1340.0)])
def test_wrks_words(p99: str, milliseconds: float) -> None:
    assert answering.parsed(SAID.format(p99=p99, more="")) == (6808.85, pytest.approx(milliseconds))


def test_503_is_an_answer_and_a_timeout_is_none() -> None:
    """While PostgreSQL is frozen, every answer is 503."""
    answering.parsed(SAID.format(p99="1.00ms", more="  Non-2xx or 3xx responses: 6808\n"))
    with pytest.raises(AssertionError, match="not answered"):
        answering.parsed(SAID.format(p99="1.00ms", more="  Socket errors: connect 0, read 0, write 0, timeout 1\n"))


def test_a_server_that_closes_after_each_answer_has_answered() -> None:
    closed = SAID.format(p99="1.00ms", more="  Socket errors: connect 0, read 6808, write 0, timeout 8\n")
    assert answering.parsed(closed, closes=True)[0] == 6808.85
    with pytest.raises(AssertionError, match="not answered"):
        answering.parsed(closed.replace("connect 0", "connect 3"), closes=True)


def test_what_a_process_uses() -> None:
    own = answering.os.getpid()
    assert answering.resident_mb(own) > 1
    assert answering.cpu_seconds(own) >= 0

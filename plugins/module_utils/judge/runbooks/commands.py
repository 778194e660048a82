# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a command line only look? Pure.

Whatever is not known to only look is taken for a change: programs, their subcommands and options, and the functions of
SQL stand in lists of what is allowed.
"""

from __future__ import annotations

import re
import shlex
import typing as t
from collections.abc import Iterator, Mapping, Sequence

#: What ends a command and begins another one.
_ENDS = frozenset({"|", "||", "&&", ";"})
#: What a shell does with a command beside running it, except for throwing errors away.
_REDIRECTS = re.compile(r"[<>&()]")
_HARMLESS = re.compile(r"2>\s*(?:/dev/null|&1)")
_ASSIGNMENT = re.compile(r"\w+=")
_PARAMETER = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")
#: How somebody types a command as somebody else: options with a value are those of sudo.
_SUDO_VALUES = frozenset({"-u", "--user", "-g", "--group"})

#: Programs that only look, whatever their arguments are.
_LOOKING = frozenset({
    "cat", "cut", "date", "df", "du", "free", "getent", "grep", "head", "hostname", "jq", "ls", "lsblk", "pgrep", "ps",
    "sha256sum", "ss", "stat", "tail", "uname", "uptime", "wc", "zcat",
})  # fmt: skip
#: Programs that only look with one of these words as their first argument that is no option.
_SUBCOMMANDS: t.Final[dict[str, frozenset[str]]] = {
    "systemctl": frozenset({
        "cat", "is-active", "is-enabled", "is-failed", "list-timers", "list-units", "show", "status",
    }),
    "pgbackrest": frozenset({"info", "repo-get", "repo-ls", "verify", "version"}),
    "openssl": frozenset({"s_client", "verify", "version"}),
    "patronictl": frozenset({"history", "list", "topology"}),
    "amtool": frozenset({"alert"}),
}  # fmt: skip
#: Programs that look, and would do more with these words among their arguments.
_UNLESS: t.Final[dict[str, re.Pattern[str]]] = {
    "journalctl": re.compile(r"--(?:vacuum|rotate|flush|sync|relinquish|update|setup|smart)"),
    "curl": re.compile(r"-[a-zA-Z]*[XdFToOK]|--(?:request|data|form|upload|output|remote|json|config|post)"),
    "find": re.compile(r"-(?:delete|exec|execdir|ok|okdir|fprint\w*|fls)$"),
}
#: Before a statement, also where it ends a word of several options.
_PSQL_COMMAND = re.compile(r"--command|-[a-zA-Z]*c")
#: Words of SQL that change something wherever they stand, also behind WITH.
_CHANGING = re.compile(
    r"\b(?:insert|update|delete|merge|truncate|into|create|alter|drop|grant|revoke|copy|call|do|set|reset|lock|vacuum)\b",
    re.IGNORECASE,
)
_READING = re.compile(r"\s*(?:select|show|table|values|with)\b", re.IGNORECASE)
_CALL = re.compile(r"\b([a-z_]\w*)\s*\(", re.IGNORECASE)
#: Functions, and words that stand before a bracket, that change nothing.
_FUNCTIONS = frozenset({
    "and", "any", "as", "avg", "cardinality", "coalesce", "count", "current_setting", "exists", "extract", "filter",
    "from", "in", "left", "lower", "max", "min", "not", "now", "or", "over", "pg_blocking_pids",
    "pg_control_checkpoint", "pg_current_wal_lsn", "pg_database_size", "pg_is_in_recovery",
    "pg_is_wal_replay_paused", "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp",
    "pg_read_file", "pg_size_pretty", "pg_wal_lsn_diff", "round", "substring", "sum", "to_char", "unnest", "upper",
    "values", "where",
})  # fmt: skip


def parameters(text: str) -> set[str]:
    """The shell variables that a text reads."""
    return set(_PARAMETER.findall(text))


def texts(value: t.Any) -> Iterator[str]:
    """Each text that a value is or holds."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)
    else:
        yield str(value)


def readable(text: str) -> bool:
    """Would a shell read it: is every quotation closed?"""
    try:
        list(_commands(text))
    except ValueError:
        return False
    return True


def changes(text: str) -> Iterator[str]:
    """Each thing in a text of several lines that may change something, in words.

    :raises ValueError: a quotation is not closed.
    """
    for argv in _commands(text):
        reason = _reason(argv)
        if reason:
            yield reason


def _commands(text: str) -> Iterator[list[str]]:
    joined = _HARMLESS.sub(" ", text.replace("\\\n", " "))
    lexer = shlex.shlex(joined.replace("\n", "\n; "), punctuation_chars=True, posix=True)
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if word in _ENDS:
            yield found
            found = []
        else:
            found.append(word)
    yield found


def _reason(argv: Sequence[str]) -> str | None:
    words = list(_unprefixed(argv))
    if not words:
        return None
    if any(_REDIRECTS.fullmatch(word[:1]) for word in words) or any("$(" in word or "`" in word for word in words):
        return f"{' '.join(words)} writes to a file, or takes in another command"
    program, rest = words[0], words[1:]
    if program == "psql":
        return _sql_reason(rest)
    if program in _LOOKING:
        return None
    if program in _SUBCOMMANDS:
        asked = next((word for word in rest if not word.startswith("-")), "")
        only_x509 = program == "openssl" and asked == "x509" and not {"-out", "-signkey", "-req"} & set(rest)
        return None if asked in _SUBCOMMANDS[program] or only_x509 else f"{program} {asked} is not known to only look"
    if program in _UNLESS:
        wrong = next((word for word in rest if _UNLESS[program].match(word)), None)
        return f"{program} {wrong} does more than look" if wrong else None
    return f"{program} is not known to only look"


def _unprefixed(argv: Sequence[str]) -> Iterator[str]:
    """The command without its comment, without variables before it, and without sudo."""
    words = iter(argv)
    for word in words:
        if word == "sudo":
            for option in words:
                if option in _SUDO_VALUES:
                    next(words, None)
                elif not option.startswith("-"):
                    yield option
                    break
            break
        if not _ASSIGNMENT.match(word):
            yield word
            break
    yield from words


def _sql_reason(rest: Sequence[str]) -> str | None:
    statements = [rest[place + 1] for place, word in enumerate(rest[:-1]) if _PSQL_COMMAND.fullmatch(word)]
    if not statements:
        return "psql without --command takes in whatever it is given"
    for sql in statements:
        unknown = {name.lower() for name in _CALL.findall(sql)} - _FUNCTIONS
        if not _READING.match(sql) or _CHANGING.search(sql):
            return f"{sql} is no statement that only reads"
        if unknown:
            return f"{', '.join(sorted(unknown))}() is not known to only read"
    return None

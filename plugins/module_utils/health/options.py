# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the agent's configuration: read, completed by their defaults, and refused with the name of their key."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError

#: Turns what was given into what is used, or raises ValueError with what is possible.
Reader = t.Callable[[t.Any], t.Any]
REQUIRED = object()


@dataclass(frozen=True)
class Option:
    read: Reader
    default: t.Any = REQUIRED


Known = t.Mapping[str, Option]
#: What a message must not repeat.
SECRET = ("password", "token")


def completed(path: str, given: t.Any, known: Known) -> dict[str, t.Any]:
    """All known options, as given or by default.

    :param path: where ``given`` stands in the configuration, for messages.
    :raises InputError: one is missing, is none, or has a value that is not possible.
    """
    if not isinstance(given, dict):
        raise InputError(f"{path or 'the configuration'} is no mapping", given=given, possible=", ".join(known))
    prefix = f"{path}." if path else ""
    for key in given:
        if key not in known:
            raise InputError(f"{prefix}{key} is no option", given=given[key], possible=", ".join(sorted(known)))
    found = {}
    for key, option in known.items():
        if key in given:
            found[key] = _read(f"{prefix}{key}", given[key], option.read)
        elif option.default is REQUIRED:
            raise InputError(f"{prefix}{key} is missing")
        else:
            found[key] = option.default
    return found


def _read(path: str, given: t.Any, read: Reader) -> t.Any:
    try:
        return read(given)
    except (ValueError, TypeError) as error:
        shown = "a secret" if path.endswith(SECRET) else repr(given)
        raise InputError(f"{path} cannot be that", given=shown, possible=str(error)) from error


def text(given: t.Any) -> str:
    if not isinstance(given, str):
        raise TypeError("a text")
    return given


def some_text(given: t.Any) -> str:
    if not text(given):
        raise ValueError("a text that is not empty")
    return t.cast("str", given)


def flag(given: t.Any) -> bool:
    if not isinstance(given, bool):
        raise TypeError("true or false")
    return given


def number(least: float, most: float = float("inf")) -> Reader:
    def read(given: t.Any) -> float:
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not least <= given <= most:
            raise ValueError(f"a number from {least:g} to {most:g}")
        return float(given)

    return read


def whole(least: int, most: int) -> Reader:
    def read(given: t.Any) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return given

    return read


port = whole(1, 65535)


def choice(*possible: str) -> Reader:
    def read(given: t.Any) -> str:
        if given not in possible:
            raise ValueError(" or ".join(possible))
        return t.cast("str", given)

    return read


def listed(read_one: Reader, least: int = 0) -> Reader:
    def read(given: t.Any) -> tuple[t.Any, ...]:
        if not isinstance(given, list) or len(given) < least:
            raise ValueError(f"a list of {least} or more" if least else "a list")
        return tuple(read_one(one) for one in given)

    return read


def mapped(read_one: Reader) -> Reader:
    def read(given: t.Any) -> dict[str, t.Any]:
        if not isinstance(given, dict):
            raise TypeError("a mapping")
        return {some_text(name): read_one(one) for name, one in given.items()}

    return read


def rising(given: t.Any) -> tuple[float, float]:
    """Two limits of what must not be high: it warns at the first one and fails at the second."""
    warn, fail = _limits(given)
    if warn > fail:
        raise ValueError("[warn, fail], of which the second is not lower")
    return warn, fail


def falling(given: t.Any) -> tuple[float, float]:
    """Two limits of what must not be low."""
    warn, fail = _limits(given)
    if warn < fail:
        raise ValueError("[warn, fail], of which the second is not higher")
    return warn, fail


def _limits(given: t.Any) -> tuple[float, float]:
    if not isinstance(given, list) or len(given) != 2:
        raise ValueError("two numbers: [warn, fail]")
    warn, fail = (number(0)(one) for one in given)
    return warn, fail


def network(given: t.Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text(given))
    except ValueError as error:
        raise ValueError("a network such as 10.1.0.0/16 or fd00::/8") from error

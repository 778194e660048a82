# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests by which a decision needs nobody: expressions of Jinja over ``steps``. Control node only."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping

import jinja2
import jinja2.sandbox
from ansible.plugins.test.core import TestModule as AnsibleTests
from jinja2 import nodes

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import OUTCOMES
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.known import Expression

#: What a test knows of each step.
ATTRIBUTES = ("outcome", "said")
#: Of Ansible's own tests, those for texts.
_TEXT_TESTS = ("match", "search", "regex")


def read(text: str) -> Expression:
    """What a test names, and why nobody can answer it, if so."""
    try:
        # As an expression is compiled: only one that is whole can stand in brackets.
        tree = _environment().parse("{{ (" + text + ") }}")
        _environment().compile_expression(text)
    except jinja2.TemplateError as error:
        return Expression(wrong=f"it is no expression of Jinja: {error.message}")
    looked_at = [node for node in tree.find_all(nodes.Getattr) if _is_steps(node.node)]
    steps = frozenset(node.attr for node in looked_at)
    return Expression(steps, next(_wrong(tree), ""))


def holds(text: str, steps: Mapping[str, Mapping[str, t.Any]]) -> bool:
    """:param steps: by id, each with ``outcome`` and ``said``; of one that was not done yet, both are empty.

    :raises jinja2.TemplateError: nobody can answer it.
    """
    expression = _environment().compile_expression(text, undefined_to_none=False)
    return bool(expression(steps=steps))


def _environment() -> jinja2.Environment:
    environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    known = AnsibleTests().tests()
    environment.tests.update({name: known[name] for name in _TEXT_TESTS})
    return environment


def _is_steps(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "steps"


def _wrong(tree: nodes.Template) -> Iterator[str]:
    for name in tree.find_all(nodes.Name):
        if name.name != "steps" and name.ctx == "load":
            yield f"there is no {name.name}, only steps"
    for node in tree.find_all(nodes.Getattr):
        if isinstance(node.node, nodes.Getattr) and _is_steps(node.node.node) and node.attr not in ATTRIBUTES:
            yield f"a step has no {node.attr}, only {' and '.join(ATTRIBUTES)}"
    for comparison in tree.find_all(nodes.Compare):
        yield from _never(comparison)


def _never(comparison: nodes.Compare) -> Iterator[str]:
    """An outcome is compared with what is none."""
    if isinstance(comparison.expr, nodes.Getattr) and comparison.expr.attr == "outcome":
        for operand in comparison.ops:
            for word in [operand.expr, *operand.expr.find_all(nodes.Const)]:
                if isinstance(word, nodes.Const) and word.value not in OUTCOMES:
                    yield f"{word.value!r} is no outcome, only {', '.join(OUTCOMES)}"

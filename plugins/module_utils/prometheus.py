# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text format, for the node exporter's textfile collector. What is not known has no sample, and is no 0."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, field

Labels = t.Mapping[str, object]


@dataclass
class Metric:
    """One gauge: its name, what it says, and its samples."""

    name: str
    help: str
    samples: list[tuple[Labels, float]] = field(default_factory=list)

    def add(self, labels: Labels, value: float | None) -> None:
        """A sample, unless the value is not known."""
        if value is not None and math.isfinite(value):
            self.samples.append((labels, value))


def exposition(metrics: t.Iterable[Metric]) -> str:
    """The text of all metrics that have a sample."""
    lines = []
    for metric in metrics:
        if not metric.samples:
            continue
        lines += [f"# HELP {metric.name} {_escaped(metric.help, quotes=False)}", f"# TYPE {metric.name} gauge"]
        for labels, value in metric.samples:
            told = ",".join(f'{key}="{_escaped(str(one))}"' for key, one in labels.items())
            lines.append(f"{metric.name}{{{told}}} {_number(value)}")
    return "".join(f"{line}\n" for line in lines)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text

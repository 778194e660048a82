#!/usr/bin/env python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/benchmarks.md and its picture from docs/benchmarks.json, which `make bench` wrote.

scripts/benchmarks_page.py            write
scripts/benchmarks_page.py --check    write nothing; exit 1 and name each file that differs from its source
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import typing as t
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot
from matplotlib.lines import Line2D

DOCS = Path(__file__).resolve().parent.parent / "docs"
#: The same figures give the same bytes, so that --check can compare them.
STYLE: t.Any = {"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"}
OURS, REFERENCE, REACH = "#1f6feb", "#8a8f98", "#c93c37"
Row = dict[str, t.Any]

PAGE = """\
# Benchmarks

<!-- Written by `make bench` from benchmarks.json; edit the source instead. -->

Measured on {cores} cores with {memory_gib} GiB (kernel {kernel}), all hosts of the lab on that one machine, nothing
else running. Medians; every sample is in [benchmarks.json](benchmarks.json). A time or a share is reached by its
median, a count of what was lost or failed by every round. The references ran in the same lab: Patroni from Debian's
package with its defaults, on the same hosts; pgBackRest by hand, beside the cluster. How the figures come about:
[how recovery is measured](measuring.md).

![Each sample in seconds on a logarithmic scale, ours and the reference's, and the reach](pictures/benchmarks.svg)

| what | n | median | p95 | max | reference (median, n) | reach | |
|---|--:|--:|--:|--:|---|--:|---|
{rows}
{remarks}
| figure | measured at (UTC) | by |
|---|---|---|
{origins}

A loss of 0 in *n* rounds says that the rate of loss is below 3/*n* with 95 % confidence, no more. One kernel and one
disk under all hosts, and no latency between them, make some figures better and some worse than yours: run the drills
there.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/benchmarks.md and its picture from docs/benchmarks.json.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when one is out of date")
    check = parser.parse_args().check
    content = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    files = {DOCS / "benchmarks.md": page(content), DOCS / "pictures" / "benchmarks.svg": picture(content["results"])}
    outdated = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in outdated:
        if check:
            print(f"docs/{path.relative_to(DOCS)}: differs from benchmarks.json; run `make docs`", file=sys.stderr)
        else:
            path.write_text(files[path], encoding="utf-8")
    return 1 if check and outdated else 0


def page(content: t.Mapping[str, t.Any]) -> str:
    rows = content["results"]
    origins = (f"| `{row['id']}` | {row['measured_at']} | `{row['command']}` |" for row in rows)
    remarks = "".join(f"\n`{name}`: {text}\n" for name, text in content["remarks"].items())
    return PAGE.format(
        **content["machine"], rows="\n".join(map(line, rows)), remarks=remarks, origins="\n".join(origins)
    )


def line(row: Row) -> str:
    compared = row["reference"]
    reference = f"{compared['name']}: {number(compared['median'], row)} ({compared['n']})" if compared else "–"
    reached = {True: "reached", False: "**missed**", None: "–" if compared else "unknown"}[row["reached"]]
    reach = "–" if row["reach"] is None else f"{'≥' if row.get('least') else '≤'} {number(row['reach'], row)}"
    figures = " | ".join(number(row[name], row) for name in ("median", "p95", "max"))
    return f"| {row['what']} | {row['n']} | {figures} | {reference} | {reach} | {reached} |"


def number(value: float, row: Row) -> str:
    if row["unit"] != "seconds":
        return f"{value:g}"
    return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"


def picture(rows: t.Sequence[Row]) -> str:
    """One line for each figure in seconds: a dot a sample, ours above the reference's, and a mark for the reach."""
    shown = [row for row in rows if row["unit"] == "seconds"][::-1]
    with mpl.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(9, 0.75 * len(shown) + 1.1))
        for place, row in enumerate(shown):
            dots(axes, row["samples"], place + 0.16, OURS, "o")
            if row["reference"]:
                dots(axes, row["reference"]["samples"], place - 0.16, REFERENCE, "D")
            if row["reach"]:
                axes.plot([row["reach"]] * 2, [place - 0.34, place + 0.34], color=REACH, linewidth=2)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _position: f"{value:g} s")
        axes.set_yticks(range(len(shown)), [row["what"].replace(": ", ":\n", 1) for row in shown])
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.grid(axis="x", color="#d8dce2", linewidth=0.6)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="y", length=0)
        figure.legend(handles=legend(), loc="upper right", ncols=3, frameon=False)
        figure.tight_layout(rect=(0, 0, 1, 0.94))
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    return "\n".join(text.rstrip() for text in written.getvalue().splitlines()) + "\n"


def dots(axes: t.Any, samples: t.Sequence[float], place: float, colour: str, marker: str) -> None:
    axes.plot(samples, [place] * len(samples), marker, color=colour, markersize=6, alpha=0.75, markeredgewidth=0)


def legend() -> list[t.Any]:
    return [
        Line2D([], [], color=OURS, marker="o", linestyle="", label="fraiseql.resilience"),
        Line2D([], [], color=REFERENCE, marker="D", linestyle="", label="reference"),
        Line2D([], [], color=REACH, linewidth=2, label="reach"),
    ]


if __name__ == "__main__":
    sys.exit(main())

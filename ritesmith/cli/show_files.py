"""How tests and measurements of files look to a person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ritesmith.cli.console import columns, counted, duration, fields, out, short_json
from ritesmith.cli.show import findings_table

if TYPE_CHECKING:
    from ritesmith.workbench import Difference, ExampleReport, FuelReport, HeadRoom, PartCost, Tested

RESULT = {"pass": ("✓", "green"), "fail": ("✗", "red"), "skip": ("–", "yellow")}
BAR = 12
WIDE = 100
"""Columns from which on instructions and charges have columns of their own."""
PARTS_SHOWN = 3
"""Capabilities of a workflow whose lines are shown."""


def tested(report: Tested) -> None:
    out.print(Text.assemble((report.name or report.file, "bold"), f"  {report.kind}, {report.file}"), soft_wrap=True)
    if report.findings:
        out.print(findings_table([each.model_dump(mode="json") for each in report.findings]))
    if report.examples:
        out.print(_examples(report))
        for each in report.examples:
            if not each.met:
                _unmet(each)
    if report.proofs:
        table = columns("trial", "", "")
        for proof in report.proofs:
            mark, style = RESULT[proof.result]
            table.add_row(Text(proof.name), Text(mark, style=style), Text(proof.told))
        out.print(table)
    if report.head_room:
        table = columns("limit", "used", "of", "share")
        for column in table.columns[1:]:
            column.justify = "right"
        for room in report.head_room:
            style = "yellow" if room.share > 0.8 else ""
            table.add_row(
                room.limit, _number(room, room.used), _number(room, room.most), Text(_percent(room.share), style)
            )
        out.print(table)
    _coverage(report)
    met = sum(each.met for each in report.examples)
    verdict = Text("passed" if report.passed else "failed", style="green" if report.passed else "red")
    errors = sum(each.severity == "error" for each in report.findings)
    told = f": {met} of {len(report.examples)} examples met" if report.examples else ": no example was run"
    told += f", {counted(errors, 'error')}" if errors else ""
    out.print(verdict.append(told, style="default"))


def _examples(report: Tested) -> Table:
    table = columns("example", "input", "gives", "fuel", "time")
    table.columns[0].no_wrap = table.columns[-1].no_wrap = True
    table.columns[-1].justify = "right"
    for each in report.examples:
        mark, style = RESULT["pass" if each.met else "fail"]
        gives = " → ".join(each.path) if report.kind == "workflow" else ""
        found = _plain(each.found)
        words = Text(f"{gives}\n" if gives else "").append(found)
        table.add_row(
            Text(f"{mark} {each.number}", style=style), short_json(each.input, 120), words, str(each.fuel), _time(each)
        )
    return table


def _time(each: ExampleReport) -> str:
    return duration(each.seconds)


def _plain(said: Any, length: int = 160) -> str:
    text = ", ".join(f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in said.items())
    return text if len(text) <= length else text[: length - 1] + "…"


def _unmet(example: ExampleReport) -> None:
    where = f" (line {example.line})" if example.line is not None else ""
    out.print(Text(f"example {example.number} is not met{where}", style="red"))
    difference = example.difference
    if difference is not None:
        out.print(
            fields(
                [
                    ("at", Text(difference.path)),
                    ("expected", Text(_side(difference, "expected"))),
                    ("found", Text(_side(difference, "found"))),
                ]
            )
        )
    for problem in example.problems:
        out.print(Text(problem), soft_wrap=True)


def _side(difference: Difference, side: str) -> str:
    if not getattr(difference, f"{side}_there"):
        return "nothing there"
    text = json.dumps(getattr(difference, side), ensure_ascii=False)
    return text if len(text) <= 2000 else text[:1999] + "…"


def _number(room: HeadRoom, number: float) -> str:
    return f"{number:,.3f}".rstrip("0").rstrip(".") if room.limit == "deadline_seconds" else f"{number:,.0f}"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _coverage(report: Tested) -> None:
    coverage = report.coverage
    if coverage is None:
        return
    told = f"coverage: {coverage.ran} of {coverage.total} {coverage.of} are executed by examples"
    out.print(Text(told + (", and not:" if coverage.missed else ""), style="yellow" if coverage.missed else ""))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right" if report.kind == "capability" else "left", no_wrap=True, style="dim")
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for each in coverage.missed:
        grid.add_row(Text(str(each.line) if each.line is not None else each.node), Text(each.text.rstrip()))
    if coverage.missed:
        out.print(grid)


def fuel(report: FuelReport) -> None:
    where = f"example {report.example}" if report.example is not None else "an empty world"
    ended = Text.assemble((report.name, "bold"), f"  {report.status} in {where}, fuel {report.fuel}")
    out.print(ended, soft_wrap=True)
    if report.error:
        out.print(Text(report.error, style="red"), soft_wrap=True)
    if report.kind == "workflow":
        table = columns("capability", "executions", "fuel", "share", "")
        table.columns[1].justify = table.columns[3].justify = "right"
        for part in report.parts:
            table.add_row(part.name, str(part.executions), str(part.fuel), _percent(part.share), _bar(part.share))
        out.print(table)
    for part in report.parts[:PARTS_SHOWN]:
        if part.lines:
            _lines(part, titled=report.kind == "workflow")
    hidden = len(report.parts) - PARTS_SHOWN
    if hidden > 0:
        out.print(f"(the lines of {hidden} more; --json has them all)")


def _lines(part: PartCost, *, titled: bool) -> None:
    wide = out.width >= WIDE
    numbers = ("instructions", "charged", "share") if wide else ("spent", "share")
    table = columns("line", "source", *numbers, "", title=part.name if titled else None)
    for column in table.columns:
        column.justify, column.no_wrap = "right", True
    table.columns[1].justify, table.columns[1].overflow, table.columns[1].ratio = "left", "ellipsis", 1
    table.columns[-1].justify = "left"
    table.expand = True
    dearest = max(each.share for each in part.lines)
    for each in part.lines:
        if each.line == 0:  # before and after the script: never more than a few
            continue
        style = "bold" if each.share == dearest else ""
        spent = (each.instructions, each.charged) if wide else (each.spent,)
        cells = [str(each.line), each.text.rstrip(), *map(str, spent), _percent(each.share)]
        table.add_row(*(Text(cell, style=style) for cell in cells), _bar(each.share))
    out.print(table)
    lines = sum(each.spent for each in part.lines)
    out.print(
        Text(
            f"fuel {part.fuel} = lines {lines} + input {part.input} + output {part.output} + counting {part.overhead}"
            f" - {part.uncounted} that make no whole thousand",
            style="dim",
        )
    )


def _bar(share: float) -> Text:
    eighths = round(share * BAR * 8)
    whole, rest = divmod(eighths, 8)
    return Text("█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else ""), style="cyan")

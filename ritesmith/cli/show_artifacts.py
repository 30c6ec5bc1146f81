"""How the registry looks to a person: lists, differences, trees of parts, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ritesmith.cli.console import columns, counted, err, fields, minute, out, paged, short_json, styled
from ritesmith.cli.show import findings_table, keep_names_whole, kind_and_status

RISK_STYLE = {"high": "yellow", "critical": "red"}
WIDE = 120
"""Columns of a terminal on which all of a list fits."""
LINE_STYLE = {"removed": "red", "added": "green", "changed": "yellow", "same": "dim"}


def listing(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        err.print("no artifacts")
        return
    table = _wide_listing(rows) if out.width >= WIDE else _narrow_listing(rows)
    with paged():
        out.print(table)
        out.print(counted(len(rows), "artifact"))


def _wide_listing(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = columns("kind", "name", "intent", "effect", "risk", "status", "uses", "last run")
    for column in table.columns:
        column.no_wrap = column.header not in ("name", "intent")
        column.min_width = 20 if column.header in ("name", "intent") else None
    for row in rows:
        used = [str(row["uses"] or ""), minute(row["last_run_at"])]
        table.add_row(
            row["kind"], _ref(row), Text(row["intent"]), row["effect"], _risk(row), styled(row["status"]), *used
        )
    return table


def _narrow_listing(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Columns that fit into 80, and fold in less; what only some rows have stands in a line beneath."""
    table = columns("kind", "name", "intent", "effect, risk")
    for row in rows:
        may = Text(f"{row['effect']}, ").append_text(_risk(row))
        if row["uses"]:
            may.append(f"\n{counted(row['uses'], 'use')}\n{minute(row['last_run_at'])}")
        table.add_row(kind_and_status(row), _ref(row), Text(row["intent"]), may)
    keep_names_whole(table, rows)
    return table


def _ref(row: Mapping[str, Any]) -> str:
    return f"{row['name']}@{row['version']}"


def _risk(row: Mapping[str, Any]) -> Text:
    return Text(row["risk"], style=RISK_STYLE.get(row["risk"], ""))


def tree(told: Mapping[str, Any], side: str) -> None:
    if not told[side]:
        what = "is made of nothing else" if side == "uses" else "is a part of nothing"
        out.print(f"{told['artifact']} {what}", soft_wrap=True)
        return
    with paged():
        out.print(_branch(told, side))


def _branch(told: Mapping[str, Any], side: str, under: Tree | None = None) -> Tree:
    label = Text.assemble((told["artifact"], "bold"), f" {told['kind']}, {told['effect']} ", styled(told["status"]))
    node = Tree(label) if under is None else under.add(label)
    for each in told[side]:
        _branch(each, side, node)
    return node


def diff(told: Mapping[str, Any]) -> None:
    with paged():
        out.print(Text.assemble("from ", (told["from"], "bold"), " to ", (told["to"], "bold")))
        for reason in told["breaking"]:
            out.print(Text(f"breaking: {reason}", style="red"), soft_wrap=True)
        for part in ("contract", "grants"):
            if told[part]:
                table = columns(part, told["from"], told["to"])
                for each in told[part]:
                    before, after = (
                        _shown(each[side], style) for side, style in (("before", "red"), ("after", "green"))
                    )
                    table.add_row(each["path"], before, after)
                out.print(table)
        if told["source"]:
            out.print(_source(told))
        if not any(told[part] for part in ("contract", "grants", "source")):
            out.print("they differ only in layout or comments of the contract")


def _shown(value: Any, style: str) -> Text:
    text = Text("") if value is None else short_json(value, 200)
    text.stylize(style)
    return text


def _source(told: Mapping[str, Any]) -> RenderableType:
    table = columns("", told["from"], " ", told["to"])
    for column in table.columns:
        column.ratio = 1 if column.header.strip() else None  # type: ignore[union-attr]
        column.justify = "left" if column.header.strip() else "right"  # type: ignore[union-attr]
    table.expand = True
    for row in told["source"]:
        style = LINE_STYLE.get(row["kind"], "")
        if row["kind"] == "gap":
            table.add_row("…", "", "…", "")
            continue
        # Colour is not for everybody: what went and what came is marked in words of one letter too.
        before = "- " if row["kind"] in ("removed", "changed") else "  "
        after = "+ " if row["kind"] in ("added", "changed") else "  "
        left = "" if row["before_number"] is None else before + row["before"]
        right = "" if row["after_number"] is None else after + row["after"]
        red, green = ("red", "green") if row["kind"] == "changed" else (style, style)
        table.add_row(
            str(row["before_number"] or ""),
            Text(left, style=red),
            str(row["after_number"] or ""),
            Text(right, style=green),
        )
    return table


def stats(told: Mapping[str, Any]) -> None:
    artifacts = told["artifacts"]

    def row(of: Mapping[str, int]) -> str:
        return ", ".join(f"{count} {name}" for name, count in of.items() if count) or "none"

    rate = "" if told["reuse_rate"] is None else f" ({told['reuse_rate']:.0%} reused)"
    forged = {tier: count for tier, count in told["forged"].items() if tier != "total"}
    pairs: list[tuple[str, RenderableType]] = [
        ("artifacts", f"{artifacts['total']} of {counted(artifacts['names'], 'name')}"),
        *((f"by {key}", row(artifacts[key])) for key in ("kind", "status", "effect", "risk", "source")),
        ("forged", f"{told['forged']['total']}{rate}: {row(forged)}"),
        ("tokens", f"{told['tokens_spent']} spent, {told['tokens_saved']} saved by reuse"),
        ("runs", str(told["runs"])),
    ]
    with paged():
        out.print(fields(pairs))
        for title, key in (("most used", "most_used"), ("failing", "failing")):
            if told[key]:
                table = columns(title, "runs", "failed", "last run")
                for each in told[key]:
                    table.add_row(each["name"], str(each["runs"]), str(each["failed"]), minute(each["last_run_at"]))
                out.print(table)


def verified(told: Mapping[str, Any]) -> None:
    errors = [each for each in told["findings"] if each["severity"] == "error"]
    if told["findings"]:
        out.print(findings_table(told["findings"]))
    done = "digest, signature, contract, pins" + (" and examples" if told["examples"] else "")
    verdict = counted(len(errors), "error") if errors else "nothing is wrong"
    out.print(f"{counted(told['artifacts'], 'artifact')} looked at ({done}): {verdict}", soft_wrap=True)

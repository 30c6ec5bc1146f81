"""How artifacts, drafts and documents look to a person: rich tables on stdout. Runs are in `show_runs`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ritesmith.cli.console import (
    STATUS_STYLE,
    columns,
    counted,
    duration,
    err,
    fields,
    known,
    out,
    paged,
    short_json,
    styled,
    when,
)
from ritesmith.contract import code_of

if TYPE_CHECKING:
    from ritesmith.checking import Checked
    from ritesmith.syncing import SyncReport

CANDIDATES_SHOWN = 3
BESIDE_NAME = 52
"""Columns that a list of artifacts needs beside their names, so that only intents are folded."""


# ---------------------------------------------------------------- registry and forge


def init(told: Mapping[str, Any], demo: bool, folder: str) -> None:
    out.print(f"{escape(told['registry'])}: {told['artifacts']} artifacts", soft_wrap=True)
    if told["written"]:
        out.print(f"wrote {', '.join(told['written'])}", soft_wrap=True)
    for name in told["kept"]:
        out.print(f"kept {name}, which was there")
    if demo:
        out.print(f"{told['documents']} documents seeded: ritesmith store list", soft_wrap=True)
    lines = ['ritesmith forge "what you want"', "ritesmith doctor"]
    if demo:
        lines = [
            'ritesmith forge "process an order refund, with approval above 100" --examples refund_examples.json',
            "ritesmith run orders.refund --input @order.json",
            "ritesmith runs",
        ]
    out.print("\nnext:")
    for line in ([f"cd {shlex.quote(folder)}"] if folder else []) + lines:
        out.print(f"  {escape(line)}", soft_wrap=True)


def forge(report: Mapping[str, Any], explain: bool = False) -> None:
    tiers = columns("tier", "result", "why", "seconds")
    for tier in report["tiers"]:
        tiers.add_row(tier["tier"], tier["result"], Text(tier["reason"]), f"{tier['seconds']:.3f}")
    out.print(tiers)
    if explain:
        candidates(report["candidates"], report["intent"])
    ranked = sorted(report["candidates"], key=lambda each: each["vetoed"])
    tiers_of = [("exact", "verified"), ("proposed",), ("none",)]
    groups = ([each for each in ranked if each["tier"] in names] for names in tiers_of)
    shown = next((group for group in groups if group), [])[:CANDIDATES_SHOWN]
    if shown and not explain:
        table = columns("candidate", "score", "examples", "verdict", "why")
        table.columns[0].no_wrap = True
        for each in shown:
            passed = f"{each['passed']}/{each['total']}" if each["total"] else "-"
            score = "-" if each["score"] is None else f"{each['score']:.1f}"
            table.add_row(each["ref"], score, passed, each["tier"], Text(each["reason"]))
        out.print(table)
        hidden = len(report["candidates"]) - len(shown)
        if hidden:
            out.print(f"({hidden} more candidates; --explain shows them all)")
    if report["findings"]:
        out.print(findings_table(report["findings"]))
    model, cost = "", ""
    if report["calls"]:
        cost = f", cost {'unknown' if report['cost'] is None else format(report['cost'], '.4f')}"
        model = f" from {report['model']}" if report["model"] else ""
        model += f" in {counted(report['calls'], 'call')}"
        model += f", {counted(report['rounds'], 'repair')}" if report["rounds"] else ""
    seconds = duration(report["seconds"])
    out.print(f"findings {len(report['findings'])}, tokens {known(report['tokens'])}{model}{cost}, time {seconds}")
    if not report["artifact"]:
        return
    verb = {"exact": "reused", "verified": "reused", "composed": "composed", "authored": "authored"}[report["tier"]]
    dry = " (dry run: nothing was published)" if report["dry_run"] else ""
    out.print(f"{verb} [bold]{report['artifact']}[/bold]: {escape(report['reason'])}{dry}", soft_wrap=True)
    if report["status"] == "draft" and not report["dry_run"]:
        out.print(f"it waits for a person: ritesmith show {report['artifact']}", soft_wrap=True)
        out.print(f"next: ritesmith approve {report['artifact']}", soft_wrap=True)
    elif not report["dry_run"]:
        out.print(f"next: ritesmith run {report['artifact'].split('@')[0]} --input @FILE", soft_wrap=True)


def candidates(rows: Sequence[Mapping[str, Any]], intent: str) -> None:
    """Each candidate with what spoke for and against it, in the order in which they were looked at."""
    if not rows:
        err.print(f"nothing shares a word with {escape(repr(intent))}, or has the examples' fields")
        return
    for each in rows:
        found = "found by the examples' fields" if each["cosine"] is None else "no word in common"
        if each["by_words"]:
            found = "the same words" if each["score"] is None else f"score {each['score']:.1f}"
        found += "" if each["cosine"] is None else f", cosine {each['cosine']:.2f}"
        head = Text.assemble((each["ref"], "bold"), "  ", (each["tier"], TIER_STYLE[each["tier"]]), f"  {found}")
        ran = [f"{one['number']} {one['result']}" for one in each["examples"]]
        own = {True: "its own pass", False: "its own fail", None: "its own were not run"}[each["own_green"]]
        misfits = each["misfits"]
        contract = f"fits, effect {each['effect']}" if not misfits else "does not fit"
        pairs: list[tuple[str, RenderableType]] = [
            ("phrase", Text(each["nearest"])),
            ("contract", contract + (f", in {len(misfits)} places (--json has them all)" if len(misfits) > 1 else "")),
            ("examples", ", ".join([*ran, own])),
            ("because", Text(each["reason"])),
        ]
        pairs += [("also", Text(veto)) for veto in each["vetoes"] if veto not in each["reason"]]
        out.print(head, soft_wrap=True)
        out.print(fields(pairs))


TIER_STYLE = {"exact": "green", "verified": "green", "proposed": "yellow", "none": "dim"}


def findings_table(findings: Sequence[Mapping[str, Any]]) -> Table:
    table = columns("severity", "where", "code", "finding")
    for each in findings:
        where = each["where"]
        place = ":".join(str(where[key]) for key in ("file", "line", "column") if where[key])
        words = Text(each["message"])
        if each["hint"]:
            words.append(f"\n{each['hint']}", style="dim")
        style = "red" if each["severity"] == "error" else "yellow"
        table.add_row(
            Text(each["severity"], style=style),
            Text(" ".join(p for p in (place, where["path"]) if p)),
            each["code"],
            words,
        )
    return table


def checked(result: Checked, file: Path) -> None:
    if result.findings:
        out.print(findings_table([finding.model_dump(mode="json") for finding in result.findings]))
    trial = result.trial
    tried = f", {_trial(trial.figures())}" if trial.cases else ""
    errors, warnings = len(result.errors), len(result.findings) - len(result.errors)
    found = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
    out.print(f"{escape(str(file))}: {found}{tried}", soft_wrap=True)


def paths(walked: Mapping[str, Any]) -> None:
    table = columns("path", "nodes", "assumed", "ends")
    for number, path in enumerate(walked["paths"], 1):
        assumed = []
        for each in path["choices"]:
            condition = f" ({words(each['when'])})" if each["when"] is not None else ""
            assumed.append(f"{each['node']}: {each['choice']}{condition}")
        ends = Text(path["status"], style=STATUS_STYLE.get(path["status"], ""))
        ends.append(f" ({path['outcome'] or path['error']})" if path["outcome"] or path["error"] else "")
        ends.append(f"\nundone: {', '.join(path['undone'])}" if path["undone"] else "")
        table.add_row(str(number), Text(" → ".join(_ends_of(path["nodes"]))), Text("\n".join(assumed)), ends)
    out.print(table)
    if walked["left_out"]:
        out.print(f"({walked['left_out']} more paths were not walked)")
    for name, what in (("not_taken", "no path takes"), ("not_reached", "no path comes to")):
        if walked[name]:
            out.print(Text(f"{what}: {', '.join(_ends_of(walked[name]))}", style="yellow"), soft_wrap=True)


def _ends_of(words: Sequence[str], most: int = 40) -> Sequence[str]:
    """A long list without its middle."""
    half = most // 2
    return words if len(words) <= most else [*words[:half], f"({len(words) - most} more)", *words[-half:]]


def artifacts(rows: Sequence[Mapping[str, Any]], query: str | None = None) -> None:
    if not rows:
        if query is not None:
            err.print(f"nothing shares a word with {escape(repr(query))}")
        return
    scored = "score" in rows[0]
    table = columns("kind", "name", "intent", "effect, risk", *(["score"] if scored else []))
    for row in rows:
        score = [f"{row['score']:.1f}"] if scored else []
        ref, may = f"{row['name']}@{row['version']}", f"{row['effect']}, {row['risk']}"
        table.add_row(kind_and_status(row), ref, Text(row["intent"]), may, *score)
    keep_names_whole(table, rows)
    out.print(table)


def kind_and_status(row: Mapping[str, Any]) -> Text:
    """What an artifact is, and beneath it its status where that is not the usual one."""
    kind = Text(row["kind"])
    return kind if row["status"] == "active" else kind.append("\n").append_text(styled(row["status"]))


def keep_names_whole(table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Only intents fold, as long as that leaves them some room; on less than that everything does."""
    roomy = out.width >= max(len(f"{row['name']}@{row['version']}") for row in rows) + BESIDE_NAME
    for column in table.columns:
        column.no_wrap = roomy and column.header != "intent"


def artifact(details: Mapping[str, Any]) -> None:
    contract, provenance = details["contract"], details["provenance"]
    ref = f"{details['name']}@{details['version']}"
    pairs: list[tuple[str, RenderableType]] = [
        ("intent", Text(details["intent"])),
        ("status", _status(details)),
        ("effect", f"{details['effect']} (risk {details['risk']})"),
        ("digest", details["digest"]),
        ("source", Text(_source(details))),
        ("signed by", _signer(details["signature"])),
    ]
    if details["description"]:
        pairs.insert(1, ("description", Text(details["description"])))
    if provenance["model"]:
        pairs.append(("model", f"{provenance['model']}, {known(provenance['tokens'])} tokens"))
    trial = provenance["trial"]
    if trial.get("cases"):
        pairs.append(("trial", f"{_trial(trial)}; {_spent(trial)}"))
    checked = [f"guard {provenance['guard_version']}", f"policy {provenance['policy_digest'][:12]}"]
    if provenance["findings"]:
        checked.append(counted(len(provenance["findings"]), "finding"))
    pairs.append(("checked by", ", ".join(checked)))
    if details["uses"]:
        pairs.append(("uses", f"{counted(details['uses'], 'run')}, the last {when(details['last_run_at'])}"))
    if details["tags"]:
        pairs.append(("tags", ", ".join(f"{tag} (version {version})" for tag, version in details["tags"].items())))
    if details["aliases"]:
        pairs.append(("aliases", Text("\n".join(details["aliases"]))))
    if provenance["pins"]:
        pairs.append(
            ("made of", Text("\n".join(f"{part} {digest[:12]}" for part, digest in provenance["pins"].items())))
        )
    for side, what in (("used_by", "used by"), ("twins", "same code")):
        if details[side]:
            pairs.append((what, ", ".join(details[side])))
    for name, grant in contract.get("grants", {}).items():
        pairs.append(("grant", Text(f"{name} {json.dumps(grant)}")))
    versions = ", ".join(f"{each['version']} ({each['status']})" for each in details["versions"])
    with paged():
        out.print(f"[bold]{details['kind']} {ref}[/bold]")
        out.print(fields([*pairs, ("versions", versions)]))
        _body(details)
        if details["history"]:
            table = columns("history", "what", "why")
            for each in details["history"]:
                table.add_row(when(each["at"]), each["tier"], Text(" ".join((each["intent"], each["reason"])).strip()))
            out.print(table)


def _status(details: Mapping[str, Any]) -> Text:
    reason = f": {details['reason']}" if details["reason"] else ""
    return styled(details["status"]).append(reason)


def _source(details: Mapping[str, Any]) -> str:
    provenance = details["provenance"]
    by = f" by {provenance['author']}" if provenance["author"] else ""
    parts = [f"{provenance['source']}{by}", when(details["created_at"]), provenance["lua_version"]]
    if provenance["intent"] not in ("", details["intent"]):
        parts.append(f"for {provenance['intent']!r}")
    return ", ".join(parts)


def _signer(signature: Mapping[str, Any]) -> Text:
    if signature["problem"]:
        return Text(signature["problem"], style="red")
    return Text(f"{signature['of'] or ''} ({signature['key'][:12]})".strip())


def _body(details: Mapping[str, Any]) -> None:
    contract = details["contract"]
    for side in ("input", "output"):
        if isinstance(contract.get(side), dict):
            out.print(_schema(side, contract[side]))
    if details["kind"] == "workflow":
        out.print(_nodes(contract))
    examples = columns("input", "gives", title="examples")
    for example in contract.get("examples", []):
        examples.add_row(short_json(example["input"], 120), _gives(example))
    out.print(examples)
    if details["kind"] == "capability":
        out.print(
            Syntax(code_of(details["text"]), "lua", theme="ansi_dark", background_color="default", word_wrap=True)
        )


def policy(told: Mapping[str, Any]) -> None:
    subject = told["subject"]
    grants = [f"{each['function']} {json.dumps(each['narrowed'])}" for each in subject["grants"]]
    budget = ", ".join(f"{name} {most:,.10g}" for name, most in subject["budget"].items())
    out.print(Text.assemble((told["artifact"], "bold"), f" {told['action']}: {told['reason']}"), soft_wrap=True)
    pairs: list[tuple[str, RenderableType]] = [
        ("rule", Text(f"{told['rule'] or 'none'}, of {told['file']}")),
        ("risk", Text(f"{told['risk']}: {told['risk_reason']}")),
        ("source", subject["source"]),
        ("effect", subject["effect"]),
        ("grants", Text("\n".join(grants) or "none")),
        ("budget", Text(budget)),
    ]
    if told["note"]:
        pairs.append(("note", Text(told["note"])))
    out.print(fields(pairs))
    table = columns("rule", "says", "why not")
    for each in told["tried"]:
        table.add_row(each["rule"], each["action"], Text("it matches" if each["matched"] else each["why_not"]))
    out.print(table)


def _trial(figures: Mapping[str, Any]) -> str:
    """What a trial executed; figures of earlier versions have fewer numbers."""
    parts = [f"{figures['passed']} of {figures['cases']} examples met"]
    if figures.get("generated"):
        parts.append(f"{figures['generated']} made inputs")
    if figures.get("host_results"):
        parts.append(f"{figures['host_results']} times made answers of host functions")
    if figures.get("host_failures"):
        parts.append(f"{figures['host_failures']} failing host calls")
    return ", ".join(parts)


def _spent(figures: Mapping[str, Any]) -> str:
    spent = f"at most {figures['fuel_max']} fuel"
    if "fuel_share" not in figures:
        return spent
    memory = f"{figures['memory_bytes_max']} bytes ({figures['memory_share']:.1%} of its limit)"
    seed = f"; seed '{figures['seed']}'" if figures["seed"] else ""
    return f"{spent} ({figures['fuel_share']:.1%} of its limit), {memory}{seed}"


def _gives(example: Mapping[str, Any]) -> Text:
    if "error" in example:
        return Text(f"error {example['error']}", style="yellow")
    words = " ".join(str(example[key]) for key in ("status", "outcome") if key in example)
    return Text(words + " ").append_text(short_json(example["output"], 160)) if "output" in example else Text(words)


def _schema(side: str, schema: Mapping[str, Any]) -> Table:
    table = columns(side, "type", "required", "meaning")
    for name, part in schema.get("properties", {}).items():
        kind = part.get("type", "any") if isinstance(part, dict) else "any"
        words = " ".join(
            str(part[key])
            for key in ("description", "enum", "format", "pattern")
            if isinstance(part, dict) and key in part
        )
        if isinstance(part, dict) and "default" in part:
            words = f"{words} [{json.dumps(part['default'])}]".lstrip()
        shown = "|".join(kind) if isinstance(kind, list) else str(kind)
        table.add_row(name, shown, "yes" if name in schema.get("required", []) else "", Text(words))
    return table


def _nodes(workflow: Mapping[str, Any]) -> Table:
    table = columns("node", "kind", "what", "then")
    for node in workflow["nodes"]:
        what = Text(node.get("capability") or _what(node))
        if node.get("compensation"):
            what.append(f"\nundone by {node['compensation']['capability']}", style="dim")
        ways = [str(node["next"])] if node.get("next") else []
        ways += [f"{words(case['when'])}: {case['target']}" for case in node.get("cases", [])]
        ways += [f"otherwise: {node['default']}"] if "default" in node else []
        ways += [f"on {each['code']}: {each['target']}" for each in node.get("on_error", [])]
        ways += [f"{key}: {node[key]}" for key in ("on_reject", "on_timeout") if node.get(key)]
        table.add_row(node["id"], node["kind"], what, Text("\n".join(ways)))
    return table


def _what(node: Mapping[str, Any]) -> str:
    """What a node other than a task does, in a few words."""
    for key in ("prompt", "seconds", "until"):
        if node.get(key) is not None:
            return words(node[key])
    return str(node.get("outcome", ""))


def words(expression: Any) -> str:
    """An expression as a person writes it: `validate.amount > 100`, `"Refund " + validate.amount_text`."""
    if not isinstance(expression, dict) or len(expression) != 1:
        return json.dumps(expression, ensure_ascii=False)
    operator, operand = next(iter(expression.items()))
    operands = operand if isinstance(operand, list) else [operand]
    if operator == "var":
        return str(operands[0]).removeprefix("nodes.").replace(".output", "")
    if operator == "cat":
        return " + ".join(map(words, operands))
    if operator == "literal":
        return json.dumps(operand, ensure_ascii=False)
    if operator in ("!", "missing", "if"):
        return f"{operator}({', '.join(map(words, operands))})"
    return f" {operator} ".join(map(words, operands))


# ---------------------------------------------------------------- host functions


def host_functions(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        err.print("no host functions")
        return
    table = columns("name", "effect", "idempotent", "narrowed by", "description")
    table.columns[0].no_wrap = True
    for row in rows:
        effect, again = row["effect"], "yes" if row["idempotent"] else "no"
        table.add_row(
            row["name"],
            f"{effect}; read with {_with(row['reads'])}" if row["reads"] else effect,
            f"{again}; yes with {_with(row['repeatable'])}" if row["repeatable"] else again,
            ", ".join(row["narrows"]) or "-",
            Text(row["unusable"], style="red") if row["unusable"] else Text(row["description"]),
        )
    out.print(table)


def _with(arguments: Mapping[str, Sequence[Any]]) -> str:
    """`method GET, HEAD or idempotent true`."""
    named = (
        f"{name} {', '.join(each if isinstance(each, str) else json.dumps(each) for each in values)}"
        for name, values in arguments.items()
    )
    return " or ".join(named)


def host_function(told: Mapping[str, Any]) -> None:
    out.print(f"[bold]host function {told['name']}[/bold]")
    effect, again = told["effect"], "yes" if told["idempotent"] else "no"
    where = "the registry file, together with the journal" if told["transactional"] else "nothing outside this process"
    pairs: list[tuple[str, RenderableType]] = [
        ("description", Text(told["description"])),
        ("effect", f"{effect}; read with {_with(told['reads'])}" if told["reads"] else effect),
        ("idempotent", f"{again}; yes with {_with(told['repeatable'])}" if told["repeatable"] else again),
        ("touches", "the world outside; an example must stub it" if told["outside"] else where),
        ("errors", Text(", ".join(told["errors"]))),
    ]
    if told["unusable"]:
        pairs.append(("refused", Text(told["unusable"], style="red")))
    out.print(fields(pairs))
    for name in ("input", "output"):
        out.print(_schema(name, told[name]))
    if told["narrows"]:
        out.print(_schema("grant", {"properties": told["narrows"], "required": _must_be_said(told["narrows"])}))
    out.print("example")
    out.print(Text(f'  "grants": {json.dumps(told["example"]["grants"])}'), soft_wrap=True)
    out.print(Text(f"  {told['example']['call']}"), soft_wrap=True)


def _must_be_said(narrows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [name for name, schema in narrows.items() if "default" not in schema]


# ---------------------------------------------------------------- MCP servers


def synced(report: SyncReport) -> None:
    table = columns("host function", "tool", "", "says of itself")
    for row in report.rows:
        style = "red" if row.state in ("changed", "gone", "refused") else ""
        table.add_row(Text(row.name), Text(row.tool), Text(row.state, style=style), Text(", ".join(row.says)))
    if report.rows:
        out.print(table)
    for row in report.rows:
        for name in row.after:
            out.print(Text(f"{row.name}: {name}", style="bold"), soft_wrap=True)
            for sign, values in (("-", row.before), ("+", row.after)):
                out.print(Text(f"  {sign} {json.dumps(values[name], ensure_ascii=False)}"), soft_wrap=True)
    if report.findings:
        out.print(findings_table([finding.model_dump(mode="json") for finding in report.findings]))
    new = sum(row.state in ("new", "accepted") for row in report.rows)
    out.print(f"{counted(len(report.rows), 'tool')}, {new} taken over", soft_wrap=True)


# ---------------------------------------------------------------- the store


def documents(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        err.print("no documents")
        return
    table = columns("namespace", "key", "version", "value")
    for row in rows:
        table.add_row(row["namespace"], row["key"], str(row["version"]), short_json(row["value"], 300))
    out.print(table)

"""What became of a definition of another engine, to a person: the differences, what is still to be done, the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from ritesmith.cli.console import columns, counted, err, out
from ritesmith.cli.show import findings_table

STYLE = {"lost": "red", "changed": "yellow"}


def imported(told: Mapping[str, Any]) -> None:
    """The report, without what stayed the same; then what was written, and why not."""
    differences = [each for each in told["report"] if each["severity"] != "same"]
    differences.sort(key=lambda each: each["severity"] != "lost")
    if differences:
        table = columns("severity", "in the source", "what became of it")
        table.columns[0].no_wrap = True
        for each in differences:
            where = f" ({each['became']})" if each["became"] and each["became"] not in each["message"] else ""
            table.add_row(
                Text(each["severity"], style=STYLE[each["severity"]]), each["at"], Text(f"{each['message']}{where}")
            )
        out.print(table)
    count = {name: sum(each["severity"] == name for each in told["report"]) for name in ("same", "changed", "lost")}
    out.print(f"{told['workflow']}: {count['same']} the same, {count['changed']} changed, {count['lost']} lost")
    errors = [each for each in told["findings"] if each["severity"] == "error"]
    if errors:
        out.print(findings_table(errors))
    for file in told["written"]:
        out.print(f"wrote {file}", soft_wrap=True)
    for ref in told["published"]:
        out.print(f"published {ref}", soft_wrap=True)
    _still_to_do(told, len(errors))


def _still_to_do(told: Mapping[str, Any], errors: int) -> None:
    if told["settings"]:
        err.print("its requests need this in ritesmith.toml:", soft_wrap=True)
        for line in told["settings"]:
            err.print(Text(f"  {line}"), soft_wrap=True)
    for secret in told["secrets"]:
        err.print(f"its requests need the secret {secret}: set RITESMITH_SECRET_{secret}", soft_wrap=True)
    for ref in told["drafts"]:
        err.print(f"it waits for a person's approval: ritesmith approve {ref}", soft_wrap=True)
    if errors:
        err.print(f"nothing was written: the guard has {counted(errors, 'error')} in the workflow", soft_wrap=True)
    elif not told["written"]:
        lost = counted(told["lost"], "difference")
        err.print(f"nothing was written: {lost} lost; write it all the same with --accept-loss", soft_wrap=True)
    elif not told["published"]:
        err.print(
            "next: ritesmith publish each capability, then the workflow; or import with --publish", soft_wrap=True
        )

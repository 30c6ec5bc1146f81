"""A person looks at a draft before it is published: accept it, edit it in $EDITOR, or refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.syntax import Syntax

from ritesmith.cli.console import err
from ritesmith.cli.options import talk
from ritesmith.cli.show import findings_table

if TYPE_CHECKING:
    from ritesmith.drafts import Answer, Proposal


def ask(proposal: Proposal) -> Answer:
    """Show a draft and what the guard says of it on stderr; what the person says, and the text where it was edited."""
    err.print(Syntax(proposal.text, "markdown", theme="ansi_dark", background_color="default", word_wrap=True))
    if proposal.findings:
        err.print(findings_table([finding.model_dump(mode="json") for finding in proposal.findings]))
    words = {"a": "accept", "e": "edit", "r": "refuse"} if proposal.sound else {"e": "edit", "r": "refuse"}
    question = ", ".join(f"[{key}]{word[1:]}" for key, word in words.items())
    while True:
        said = click.prompt(question, err=True, show_choices=False, type=click.Choice([*words, *words.values()]))
        word = words.get(said, said)
        if word == "accept":
            return "accept", ""
        if word == "refuse":
            return "refuse", ""
        try:
            edited = click.edit(proposal.text, extension=".md")
        except click.ClickException as error:
            talk(error.format_message())
            continue
        except UnicodeDecodeError:
            talk("what was saved is not UTF-8")
            continue
        if edited is None or edited == proposal.text:
            talk("nothing was changed")
            continue
        return "edit", edited

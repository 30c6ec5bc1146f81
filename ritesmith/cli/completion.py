"""Shell completion: the scripts that a shell loads, and the table from which a press of Tab is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ritesmith.settings_table import SETTINGS

BASH = """\
# Completion of ritesmith for bash: eval "$(ritesmith completion bash)" in ~/.bashrc.
_ritesmith() {
    local line IFS=$'\\n'
    COMPREPLY=()
    while read -r line; do
        case $line in
            :files*) compopt -o filenames; COMPREPLY+=($(compgen -f -- "${line#:files}")) ;;
            :folders*) compopt -o filenames; COMPREPLY+=($(compgen -d -- "${line#:folders}")) ;;
            *[@=/]) compopt -o nospace; COMPREPLY+=("$line") ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done < <("$1" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
}
complete -F _ritesmith ritesmith
"""
ZSH = """\
#compdef ritesmith
# Completion of ritesmith for zsh: source <(ritesmith completion zsh) in ~/.zshrc, behind compinit.
_ritesmith() {
    local line
    local -a found open
    for line in "${(@f)$("${words[1]}" __complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            '') ;;
            :files*) _files ;;
            :folders*) _files -/ ;;
            *[@=/]) open+=("$line") ;;
            *) found+=("$line") ;;
        esac
    done
    (( ${#open} )) && _describe ritesmith open -S ''
    (( ${#found} )) && _describe ritesmith found
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then _ritesmith "$@"; else compdef _ritesmith ritesmith; fi
"""
FISH = """\
# Completion of ritesmith for fish: ritesmith completion fish > ~/.config/fish/completions/ritesmith.fish
function __ritesmith_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete fish $words[2..] 2>/dev/null)
        switch $line
            case ':files*'
                __fish_complete_path (string replace -r '^:files' '' -- $line)
            case ':folders*'
                __fish_complete_directories (string replace -r '^:folders' '' -- $line)
            case '*'
                echo $line
        end
    end
end
complete -c ritesmith -f -a '(__ritesmith_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


@click.command()
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
def completion(shell: str) -> None:
    """Print a script with which SHELL completes what is typed.

    Commands, options, names and versions of artifacts, runs, documents and files, from the registry that is meant
    there.
    """
    click.echo(SCRIPTS[shell], nl=False)


KINDS = {"reference": "artifact", "run": "run", "target": "target", "file": "file", "folder": "folder"} | {
    "namespace": "namespace",
    "key": "key",
    "given": "input",
    "payload": "input",
    "result": "input",
    "examples": "file",
    "output": "file",
    "db": "file",
    "workflow": "workflow",
    "node": "node",
    "files": "file",
}
"""What a parameter of this name is completed with."""
KINDS_AT = {
    ("diff", "before"): "artifact",
    ("diff", "after"): "artifact",
    ("runs diff", "before"): "run",
    ("runs diff", "after"): "run",
    ("store put", "value"): "input",
    ("list", "namespace"): "area",
    ("import", "namespaces"): "",
    ("fork", "node"): "node",
    ("fork", "workflow"): "artifact",
    ("tag", "tag"): "tag",
    ("resume", "run"): "open",
    ("reject", "run"): "waiting",
    ("deliver", "run"): "open",
    ("token", "run"): "open",
    ("wake", "run"): "waiting",
    ("resolve", "run"): "unknown",
    ("cancel", "run"): "open",
    ("retry", "run"): "failed",
    ("compensate", "run"): "compensation_failed",
    ("trust add", "key"): "",
    ("trust remove", "key"): "trusted",
    ("mcp sync", "servers"): "server",
    ("help", "words"): "command",
    ("hosts", "name"): "function",
    ("hosts", "namespace"): "function area",
    ("new", "grants"): "function",
    ("config show", "name"): [each.name for each in SETTINGS if each.name == each.name.lower()],
}
"""The same where a name means something else in one command."""


def table(root: click.Group, functions: Sequence[str]) -> dict[str, Any]:
    """What `ritesmith.complete` reads: for each command, by its path, what may follow it. `functions`: of the host.

    `commands`: name -> what it does. `options`: spelling -> [what it does, kind of its value or None, whether it may
    stand again]. `arguments`: kinds, in order; `many`: the last may stand again. A kind is a word or a list of choices.
    """
    found: dict[str, Any] = {}
    known = {
        "function": list(functions),
        "function area": [*dict.fromkeys(each.partition(".")[0] for each in functions)],
    }

    def visit(command: click.Command, path: str) -> None:
        inner = getattr(command, "commands", {})
        options: dict[str, Any] = {}
        arguments: list[Any] = []
        many = False
        for each in command.params:
            kind = _kind(path, each)
            kind = known.get(kind, kind) if isinstance(kind, str) else kind
            if isinstance(each, click.Option) and not each.hidden:
                takes = None if each.is_flag or each.count else kind or "text"
                for spelling in (*each.opts, *each.secondary_opts):
                    if spelling.startswith("--"):
                        options[spelling] = [_short(each.help or ""), takes, each.multiple]
            elif isinstance(each, click.Argument):
                arguments.append(kind)
                many = each.nargs == -1
        options["--help"] = ["Show this message and exit.", None, False]
        found[path] = {
            "commands": {name: _short(each.get_short_help_str(60)) for name, each in inner.items() if not each.hidden},
            "options": options,
            "arguments": arguments,
            "many": many,
        }
        for name, each in inner.items():
            visit(each, f"{path} {name}".strip())

    visit(root, "")
    return found


def _kind(path: str, parameter: click.Parameter) -> Any:
    if isinstance(parameter.type, click.Choice):
        return [str(each) for each in parameter.type.choices]
    return KINDS_AT.get((path, parameter.name or ""), KINDS.get(parameter.name or "", ""))


def _short(text: str) -> str:
    return " ".join(text.split())

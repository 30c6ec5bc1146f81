"""What `--help` shows beside the words of a command: sections, examples, exit codes; and the command `help`."""

from __future__ import annotations

from typing import Any

import click

from ritesmith.cli.options import Group

EXIT_CODES = (
    (0, "done; a run that waits for somebody is done too"),
    (1, "something was found: `doctor` failed, or two runs differ; also a defect in RiteSmith"),
    (2, "wrong words or wrong input; nothing was written"),
    (3, "no artifact, run, document or file of that name"),
    (4, "a conflict: decided already, finished, or in the hands of another process"),
    (5, "rejected: by the guard, the policy, a signature, or a check that found something"),
    (6, "the forge came to nothing acceptable"),
    (7, "the sandbox could not run it, or the script of `sandbox` failed"),
    (8, "a run ended badly, or a replay came out otherwise"),
    (9, "the registry file cannot be used"),
    (130, "interrupted with Ctrl-C"),
)
SECTIONS = {
    "Begin": ("init", "doctor", "config", "completion", "help"),
    "Decide": ("forge", "usage"),
    "Write your own": ("new", "check", "test", "fuel", "fmt", "publish"),
    "Execute": ("run", "resume", "worker", "trace", "explain", "runs", "replay"),
    "Answer a run": ("approve", "reject", "deliver", "token", "wake", "resolve"),
    "Mend a run": ("cancel", "retry", "fork", "compensate"),
    "Look": ("list", "show", "search", "diff", "stats", "hosts", "policy", "store"),
    "Keep": ("tag", "deprecate", "revoke", "export", "import", "trust", "verify", "backup", "prune", "rebuild"),
    "Reach further": ("mcp", "sandbox"),
}
"""In the order of use; a command that stands in none is shown at the end."""
EXAMPLES: dict[str, tuple[str, ...]] = {
    "init": ("ritesmith init --demo", "ritesmith init billing && cd billing && ritesmith doctor"),
    "doctor": (
        "ritesmith doctor",
        "ritesmith doctor --live",
        "ritesmith doctor --json | jq '.checks[] | select(.status == \"fail\")'",
    ),
    "config show": ("ritesmith config show --origin", "ritesmith config show http"),
    "config path": ('$EDITOR "$(ritesmith config path)"', "ritesmith config path keys"),
    "completion": (
        'eval "$(ritesmith completion bash)"        # in ~/.bashrc',
        "source <(ritesmith completion zsh)         # in ~/.zshrc, behind compinit",
        "ritesmith completion fish > ~/.config/fish/completions/ritesmith.fish",
    ),
    "help": ("ritesmith help runs diff", "ritesmith help exit-codes"),
    "forge": (
        'ritesmith forge "average of a list of numbers"',
        'ritesmith forge "process an order refund, with approval above 100" --examples refund_examples.json',
        'ritesmith forge "slug of a title" --effect pure --no-model --explain',
    ),
    "new": (
        "ritesmith new orders.total",
        'ritesmith new shop.price --grant http.get_json --intent "price of a product in the shop"',
        "ritesmith new orders.check --workflow",
    ),
    "check": (
        "ritesmith check capabilities/total.lua",
        "ritesmith check capabilities/total.lua --watch",
        "ritesmith check workflows/refund.json --dry-run",
    ),
    "test": ("ritesmith test capabilities/total.lua",),
    "fmt": ("ritesmith fmt capabilities/total.lua", "ritesmith fmt --check capabilities/total.lua"),
    "fuel": (
        "ritesmith fuel total.lua --example 2",
        'ritesmith fuel math.percentage_change --input \'{"initial": 50, "current": 75}\'',
    ),
    "publish": ("ritesmith publish capabilities/slug.lua", "ritesmith publish workflows/refund.json --breaking"),
    "usage": ("ritesmith usage --by model", "ritesmith usage --since 2026-11-01 --json"),
    "run": (
        "ritesmith run orders.refund --input @order.json",
        "ritesmith run stats.average@1 --input '{\"numbers\": [1, 2, 6]}' --json | jq .output",
        "ritesmith run orders.refund --input - --idempotency-key ORD-1002 --detach < order.json",
    ),
    "resume": ("ritesmith resume", "ritesmith resume r5da7186162 --wait 0"),
    "worker": ("ritesmith worker", "ritesmith worker --poll 5"),
    "trace": (
        "ritesmith trace r5da",
        "ritesmith trace r5da --watch",
        "ritesmith trace r5da --html --output run.html",
        "ritesmith trace r5da --mermaid > run.mmd",
    ),
    "runs": (
        "ritesmith runs --status waiting",
        "ritesmith runs --stuck",
        "ritesmith runs --workflow orders.refund --json",
    ),
    "runs diff": ("ritesmith runs diff r5da r8fc",),
    "explain": ("ritesmith explain r5da", "ritesmith explain r5da --model"),
    "replay": ("ritesmith replay r5da",),
    "approve": (
        'ritesmith approve r5da --by ann --comment "the parcel came back"',
        "ritesmith approve billing.charge@2",
    ),
    "reject": ('ritesmith reject r5da --comment "paid twice already"',),
    "deliver": (
        'ritesmith deliver r5da --payload \'{"received_by": "Bob"}\'',
        "ritesmith deliver --token TOKEN --payload @callback.json",
    ),
    "token": ("ritesmith token r5da --seconds 3600",),
    "wake": ("ritesmith wake r5da",),
    "resolve": (
        "ritesmith resolve r5da --did-not-happen",
        'ritesmith resolve r5da --happened --result \'{"id": "PAY-7"}\' --by ann',
    ),
    "cancel": ('ritesmith cancel r5da --reason "no longer wanted"', "ritesmith cancel r5da --no-compensate"),
    "retry": ("ritesmith retry r5da",),
    "fork": ("ritesmith fork r5da --from refund", "ritesmith fork r5da --from refund --workflow orders.refund@2"),
    "compensate": ("ritesmith compensate r5da",),
    "list": (
        "ritesmith list --kind workflow",
        "ritesmith list --status draft",
        "ritesmith list --sort uses --limit 10",
    ),
    "show": ("ritesmith show orders.refund", "ritesmith show orders.refund@1 --source > refund.json"),
    "search": ('ritesmith search "refund an order"', 'ritesmith search "mean of numbers" --explain'),
    "diff": ("ritesmith diff orders.refund", "ritesmith diff orders.refund@1 orders.refund@3"),
    "stats": ("ritesmith stats",),
    "hosts": ("ritesmith hosts --effect read", "ritesmith hosts http.request"),
    "policy explain": (
        "ritesmith policy explain orders.refund",
        "ritesmith policy explain stats.average --source model",
    ),
    "store list": ("ritesmith store list", "ritesmith store list orders --limit 20"),
    "store get": ("ritesmith store get orders ORD-1002",),
    "store put": ("ritesmith store put orders ORD-1009 '{\"amount\": 12}' --if-version 0",),
    "store import": ("ritesmith store import orders.jsonl",),
    "tag": ("ritesmith tag orders.refund@2 stable", "ritesmith tag orders.refund stable --remove"),
    "deprecate": ('ritesmith deprecate stats.median@1 --reason "use stats.average"',),
    "revoke": ('ritesmith revoke payments.refund@1 --reason "it pays twice"',),
    "export": ("ritesmith export orders.refund", "ritesmith export orders.refund@1 --output refund.bundle"),
    "import": (
        "ritesmith import orders.refund-3.bundle",
        "ritesmith import --from trama checkout.json --host 127.0.0.1:5003=shop.example.com",
    ),
    "trust list": ("ritesmith trust list",),
    "trust add": ("ritesmith trust add 5866... --name ann",),
    "trust remove": ("ritesmith trust remove 5866...",),
    "verify": ("ritesmith verify", "ritesmith verify orders.refund --no-examples"),
    "backup": ("ritesmith backup registry-2026-11-22.db",),
    "prune": ("ritesmith prune --days 90 --dry-run",),
    "rebuild": ("ritesmith rebuild",),
    "mcp sync": ("ritesmith mcp sync", "ritesmith mcp sync files --yes"),
    "sandbox": ("ritesmith sandbox script.lua --input '{\"n\": 1}'", "ritesmith sandbox --jsonl < scripts.jsonl"),
}
METAVARS = {
    "wait_seconds": "SECONDS",
    "poll_seconds": "SECONDS",
    "seconds": "SECONDS",
    "max_seconds": "SECONDS",
    "days": "DAYS",
    "max_cost": "AMOUNT",
    "by": "PERSON",
    "node": "NODE",
    "workflow": "NAME",
    "namespace": "NAME",
    "name": "NAME",
    "reason": "WORDS",
    "comment": "WORDS",
    "idempotency_key": "KEY",
    "digest": "DIGEST",
    "token": "TOKEN",
    "output": "FILE",
}
"""What the value of an option is called; any other number is an N."""
OTHER_WORDS = {
    "ls": "list",
    "ps": "runs",
    "logs": "trace",
    "history": "trace",
    "describe": "show",
    "inspect": "show",
} | {
    "exec": "run",
    "start": "run",
    "find": "search",
    "validate": "check",
    "lint": "check",
    "deploy": "publish",
    "signal": "deliver",
    "terminate": "cancel",
    "undo": "compensate",
    "settings": "config",
    "delete": "revoke",
    "rm": "revoke",
}
"""What other tools call a command -> what it is called here."""
COLUMN = 12


class Root(Group):
    """All commands, in sections, and with what other tools would call them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by what they are for, each with the whole of its first sentence."""
        left = {name: command for name, command in self.commands.items() if not command.hidden}
        for title, names in (*SECTIONS.items(), ("More", tuple(left))):
            rows = [(name, left.pop(name).get_short_help_str(1000)) for name in names if name in left]
            if rows:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(COLUMN), said) for name, said in rows])

    def meant(self, word: str) -> str | None:
        return OTHER_WORDS.get(word) or super().meant(word)


def dress(group: click.Group, path: str = "") -> None:
    """Give every command beneath a group its examples, and the values of its options their names."""
    for name, command in group.commands.items():
        its = f"{path} {name}".strip()
        examples = EXAMPLES.get(its)
        if examples:
            command.epilog = "\b\nExamples:\n" + "\n".join(f"  {each}" for each in examples)
        for each in command.params:
            if not isinstance(each, click.Option) or each.is_flag or each.metavar:
                continue
            if not isinstance(each.type, click.Choice):
                is_number = isinstance(each.type, click.IntRange | click.FloatRange)
                each.metavar = METAVARS.get(each.name or "", "N" if is_number else None)
        if isinstance(command, click.Group):
            dress(command, its)


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND | exit-codes]")
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...]) -> None:
    """Show what a COMMAND does, or what the exit codes mean."""
    if words == ("exit-codes",):
        click.echo("\n".join(f"{code:>3}  {about}" for code, about in EXIT_CODES))
        return
    assert context.parent is not None
    at = context.parent
    command: Any = at.command
    for word in words:
        if not isinstance(command, click.Group):
            raise click.UsageError(f"'{at.command_path}' has no commands of its own.", at)
        if word not in command.commands and word.startswith("exit"):
            raise click.UsageError(f"There is no command '{word}'. Did you mean 'exit-codes'?", at)
        _, command, _ = command.resolve_command(at, [word])
        at = click.Context(command, info_name=word, parent=at)
    click.echo(command.get_help(at))

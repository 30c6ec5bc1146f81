"""The command line: entry, and how errors reach a person or a program. Commands are in `commands.py`.

Only click is imported here and there at the top, so that `ritesmith --help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys

import click

from ritesmith.errors import RiteSmithError

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; data goes to stdout, talk and errors to stderr."""
    from ritesmith.cli.commands import ritesmith

    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words
    try:
        code = ritesmith.main(words, prog_name="ritesmith", standalone_mode=False)
        sys.stdout.flush()
    except RiteSmithError as error:
        _tell(error.as_dict(), as_json)
        return error.exit_code
    except click.Abort:
        return _interrupted(as_json)
    except KeyboardInterrupt:
        return _interrupted(as_json)
    except click.ClickException as error:
        if as_json:
            _tell({"code": "usage", "message": error.format_message()}, as_json)
        else:
            error.show()
        return error.exit_code
    except BrokenPipeError:
        # The reader (head, less) has what it wanted. Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  the last door: no traceback reaches a user who did not ask for one
        if os.environ.get("RITESMITH_DEBUG"):
            raise
        hint = "this is a defect in RiteSmith; RITESMITH_DEBUG=1 shows where"
        _tell({"code": "defect", "message": f"{type(error).__name__}: {error}", "hint": hint}, as_json)
        return 1
    return code if isinstance(code, int) else 0


def _interrupted(as_json: bool) -> int:
    hint = "nothing is lost: 'ritesmith resume' carries interrupted runs on"
    _tell({"code": "interrupted", "message": "interrupted", "hint": hint}, as_json)
    return INTERRUPTED


def _tell(error: dict[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": error}, ensure_ascii=False))
        return
    click.echo(f"Error: {error['message']}", err=True)
    findings = error.get("findings")
    if isinstance(findings, list):
        for finding in findings:
            where = finding["where"]
            place = ":".join(str(where[key]) for key in ("file", "line", "column") if where[key])
            words = [f"  {finding['severity']}", " ".join(each for each in (place, where["path"]) if each)]
            click.echo(f"{' '.join(words)} [{finding['code']}] {finding['message']}", err=True)
            if finding["hint"]:
                click.echo(f"      {finding['hint']}", err=True)
    if error.get("hint"):
        click.echo(f"Hint: {error['hint']}", err=True)

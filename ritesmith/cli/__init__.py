"""The command line: entry, and how errors reach a person or a program. Commands are in `commands.py`.

Only click is imported here and there at the top, so that `ritesmith --help` answers at once.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import Any

import click

from ritesmith.errors import RiteSmithError
from ritesmith.visible import visible

INTERRUPTED = 130
UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; data goes to stdout, talk and errors to stderr."""
    from ritesmith.cli.commands import ritesmith

    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words
    sys.stdout = _forgiving(sys.stdout)
    sys.stderr = _forgiving(sys.stderr)
    _warn_of_variables()
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
        error = _with_near_miss(error)
        if as_json:
            _tell({"code": "usage", "message": error.format_message()}, as_json)
        else:
            error.show()
        return error.exit_code
    except (BrokenPipeError, SystemExit):
        # The reader (head, less) has what it wanted; click and rich say that with a SystemExit.
        _drop_stdout()
        return 0
    except UnicodeEncodeError:
        message = "an argument holds bytes that are no text in this terminal's encoding"
        _tell({"code": "invalid_input", "message": message}, as_json)
        return 2
    except OSError as error:
        if error.errno not in UNWRITABLE:
            return _defect(error, as_json)
        _drop_stdout()
        _tell({"code": "unwritable", "message": f"the output could not be written: {error.strerror}"}, False)
        return 1
    except Exception as error:  # noqa: BLE001  the last door: no traceback reaches a user who did not ask for one
        return _defect(error, as_json)
    return code if isinstance(code, int) else 0


def _warn_of_variables() -> None:
    odd = [name for name in os.environ if name.startswith("RITESMITH_")]
    if not odd:
        return
    from ritesmith.settings_table import unknown_variables

    for name, near in unknown_variables(odd):
        meant = f"; did you mean {near}?" if near else ""
        click.echo(visible(f"Warning: there is no setting {name}{meant}"), err=True)


def _with_near_miss(error: click.ClickException) -> click.ClickException:
    """The same error, and what was probably meant where click does not say it."""
    if isinstance(error, click.NoSuchOption) and error.option_name == "--db":
        return click.UsageError("'--db' stands before the command: ritesmith --db FILE COMMAND", error.ctx)
    if isinstance(error, click.BadParameter) and error.param and isinstance(error.param.type, click.Choice):
        import difflib

        given, choices = error.message.split("'")[1:2], [str(each) for each in error.param.type.choices]
        near = difflib.get_close_matches("".join(given), choices, n=1)
        if near:
            return click.BadParameter(f"{error.message} Did you mean '{near[0]}'?", error.ctx, error.param)
    return error


def _defect(error: Exception, as_json: bool) -> int:
    if os.environ.get("RITESMITH_DEBUG"):
        raise error
    hint = "this is a defect in RiteSmith; RITESMITH_DEBUG=1 shows where"
    _tell({"code": "defect", "message": f"{type(error).__name__}: {error}", "hint": hint}, as_json)
    return 1


def json_text(value: dict[str, Any], indent: int | None = None) -> str:
    """One JSON object as text that stdout can take, whatever its encoding."""
    plain = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    return json.dumps(value, ensure_ascii=plain, indent=indent)


def _forgiving(stream: Any) -> Any:
    if stream is None:  # closed by whoever started this process
        return open(os.devnull, "w", encoding="utf-8")
    # A name with a letter that this terminal lacks is shown by its number; it must not end the command.
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _drop_stdout() -> None:
    # Python flushes stdout once more at exit, and would complain again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupted(as_json: bool) -> int:
    hint = "a run that was under way is carried on by: ritesmith resume"
    _tell({"code": "interrupted", "message": "interrupted", "hint": hint}, as_json)
    return INTERRUPTED


def _tell(error: dict[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json_text({"error": error}))
        return
    lines = [f"Error: {error['message']}"]
    findings = error.get("findings")
    for finding in findings if isinstance(findings, list) else ():
        where = finding["where"]
        place = ":".join(str(where[key]) for key in ("file", "line", "column") if where[key])
        words = [f"  {finding['severity']}", " ".join(each for each in (place, where["path"]) if each)]
        lines.append(f"{' '.join(words)} [{finding['code']}] {finding['message']}")
        if finding["hint"]:
            lines.append(f"      {finding['hint']}")
    if error.get("hint"):
        lines.append(f"Hint: {error['hint']}")
    click.echo(visible("\n".join(lines)), err=True)

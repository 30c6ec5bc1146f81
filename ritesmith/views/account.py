"""An account of a run in sentences, made from its trace by a template; and the check of any account's figures. Pure.

Whoever wrote an account, template or model, a figure in it that the trace does not have is found here.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ritesmith import saga
from ritesmith.models import JSON, Value
from ritesmith.trace import RunView, StepView

STEPS_TOLD = 60
TEXT_CHARACTERS = 200
"""Of one value as it is told."""
FIELDS_TOLD = 12


class Account(Value):
    """What is said of a run, who says it, and what of it the trace does not bear out."""

    run: str
    status: str
    finished: bool
    text: str
    source: str
    """template, or the name of the model."""
    unsupported: tuple[str, ...] = ()
    """Figures of the text that do not occur in the trace, each once, in their order."""
    truncated: bool = False
    """The model stopped at its token limit."""
    tokens_in: int | None = 0
    tokens_cached: int | None = 0
    tokens_out: int | None = 0
    cost: float | None = None
    seconds: float = 0.0


# ---------------------------------------------------------------- the template


def account(view: RunView) -> Account:
    """The account of a run by the template."""
    text = plain_lines("\n".join(_lines(view)))
    return Account(
        run=view.run,
        status=view.status,
        finished=view.final,
        text=text,
        source="template",
        unsupported=unsupported(text, view),
    )


def model_account(view: RunView, answer: str, model: str, *, truncated: bool, **spent: Any) -> Account:
    """The account of a run in the words that a model answered."""
    # Some models think aloud first.
    text = plain_lines(re.sub(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", "", answer, flags=re.DOTALL))
    return Account(
        run=view.run,
        status=view.status,
        finished=view.final,
        text=text,
        source=plain_lines(model),
        unsupported=unsupported(text, view),
        truncated=truncated,
        **spent,
    )


def plain_lines(text: str) -> str:
    """A text without what a terminal would obey or not show."""
    return "".join(each for each in text if each == "\n" or unicodedata.category(each)[0] != "C").strip()


def _lines(view: RunView) -> Iterator[str]:
    outcome = f", outcome {view.outcome}" if view.outcome else ""
    if view.final:
        yield (
            f"Run {view.run} of {view.workflow} {ENDED.get(view.status, view.status)}{outcome}. It began at "
            f"{saga.iso(view.started_at)} and ended at {saga.iso(view.updated_at)}, after {lasted(view)}."
        )
    else:
        yield (
            f"Run {view.run} of {view.workflow} has not ended: it is {view.status}. It began at "
            f"{saga.iso(view.started_at)}. This is what it has done so far."
        )
    for words, other in (
        ("It was called by", view.parent),
        ("It took over the first steps of", view.forked_from),
        ("What it did is now undone, if need be, by", view.taken_over_by),
    ):
        if other:
            yield f"{words} run {other}."
    yield f"It was given {told(view.input)}." if view.input not in (None, {}) else "It was given nothing."
    yield ""
    steps = [step for step in view.steps if step.kind != "end"]
    yield from (f"- {_step(step)}" for step in steps[:STEPS_TOLD])
    if len(steps) > STEPS_TOLD:
        yield f"- More followed, {len(view.steps)} steps in all: ritesmith trace {view.run}"
    if steps:
        yield ""
    if view.output is not None and view.final:
        yield f"Its result is {told(view.output)}."
    if view.error:
        yield f"It failed with {_error(view.error)}."
    if view.undone:
        yield f"Undone, newest first: {', '.join(view.undone)}."
    for each in view.not_undone:
        yield f"Not undone: {each['path']}, because of {_error(each['error'])}."
    if view.not_undone and view.status == "compensation_failed":
        yield f"To try again to undo it: ritesmith compensate {view.run}"
    for waiting in view.waits:
        place = f"{waiting.node} for " if waiting.node else ""
        until = f", until {saga.iso(waiting.until)}" if waiting.until is not None else ""
        asked = f": {_sentence(str(waiting.prompt))}" if waiting.prompt else "."
        yield f"It waits at {place}{waiting.kind}{until}{asked}" if place else f"{waiting.words.capitalize()}."
        yield f"It goes on with: {waiting.command}"


ENDED = {
    "succeeded": "succeeded",
    "failed": "failed",
    "compensated": "failed, and what it had done was undone",
    "compensation_failed": "failed, and not all that it had done could be undone",
    "cancelled": "was cancelled",
}


def _step(step: StepView) -> str:
    said = _did(step)
    if step.attempts > 1:
        said += f" It took {step.attempts} attempts."
    calls = list(dict.fromkeys(call.function for call in step.calls))
    if calls:
        said += f" It called {', '.join(calls)}."
    failed = [call for call in step.calls if call.error]
    for call in failed:
        said += f" {call.function} answered with {_error(call.error or {})}."
    return said


def _did(step: StepView) -> str:
    name, output = step.path.removesuffix(saga.UNDO), step.output
    match step.status:
        case "failed" if step.kind not in ("approval",):
            onward = f" It {step.note}." if step.note.startswith("goes on") else ""
            what = "could not be undone" if step.kind == "compensation" else "failed"
            return f"{name} {what}: {_error(step.error or {'message': step.note or 'no reason is given'})}.{onward}"
        case "retrying":
            return f"{name} failed with {_error(step.error or {})}, and is tried {step.note}."
        case "unknown":
            return f"{name}: {_sentence(step.note or 'nobody knows whether its last write happened')}"
        case "running":
            return f"{name} is under way."
        case "waiting":
            return f"{name} waits{f' for an answer to: {step.note}' if step.kind == 'approval' else ''}."
        case "sleeping":
            return f"{name} sleeps {step.note}."
        case "dropped":
            return f"{name} was given up: the run went on, or ended, without it."
    match step.kind:
        case "switch":
            return f"{name} chose {step.note}."
        case "approval":
            return f"{name} was {step.note or step.status}."
        case "sleep":
            return f"{name} slept, {step.note}."
        case "wait":
            return f"{name} got {told(output)}."
        case "split":
            return f"{name} began the branches {step.note}."
        case "map":
            return f"{name} began with {step.note}."
        case "call":
            return f"{name} was done by {step.note}, and gave {told(output)}."
        case "compensation":
            return f"{name} was undone."
    return f"{name} gave {told(output)}." if output not in (None, {}) else f"{name} was done."


def _error(error: dict[str, JSON]) -> str:
    code, message = error.get("code"), error.get("message")
    return _short(f"{code}: {message}" if code and message else str(code or message or "an error")).rstrip(".")


def told(value: JSON) -> str:
    """A value in words: the fields of an object one by one, a list as its first element and how it goes on."""
    if isinstance(value, dict):
        parts = [f"{key} {_inner(part)}" for key, part in list(value.items())[:FIELDS_TOLD]]
        return ", ".join(parts + (["and more"] if len(value) > FIELDS_TOLD else [])) or "an empty object"
    return _inner(value)


def _inner(value: JSON) -> str:
    if isinstance(value, str):
        return _short(value) or "(empty)"
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= TEXT_CHARACTERS:
        return text
    return "a list of several" if isinstance(value, list) else "an object of several fields"


def _short(text: str) -> str:
    """A text on one line, cut between words: half a number would be another number."""
    line = " ".join(text.split())
    if len(line) <= TEXT_CHARACTERS:
        return line
    cut = line[:TEXT_CHARACTERS].rpartition(" ")[0]
    return f"{cut} …" if cut else "(a long text)"


def _sentence(text: str) -> str:
    line = _short(text)
    return line if line.endswith((".", "?", "!", "…")) else f"{line}."


def lasted(view: RunView) -> str:
    """How long a run has taken, in words."""
    seconds = max(0.0, view.updated_at - view.started_at)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    for size, unit in ((86400, "days"), (3600, "hours")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.1f} minutes"


# ---------------------------------------------------------------- the check

_WORD = re.compile(r"(?:(?<![\w.])[-+])?\w+(?:[-.,:'/@]\w+)*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
NUMBER_WORDS = {
    **{"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10},
    **{"eleven": 11, "twelve": 12, "dozen": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16},
    **{"seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50},
    **{"sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "thousand": 1000, "million": 10**6},
    **{"billion": 10**9, "twice": 2, "double": 2, "doubled": 2, "thrice": 3, "triple": 3, "tripled": 3},
    **dict.fromkeys(("half", "third", "quarter", "dozens", "hundreds", "thousands", "millions", "billions")),
}
"""Words that are figures. "One" is as often no number at all, and is passed over; halves and hundreds are told by no
trace but in its own words."""


def unsupported(text: str, view: RunView) -> tuple[str, ...]:
    """The figures of a text that do not occur in the trace of a run, each once, in their order; empty: all do.

    A figure is a number, a number word, or a word with a digit in it, such as an id or a time. It occurs when the trace
    has the same number (1,234.50 is 1234.5; nothing is rounded), the same word, the same moment, or tells as many
    steps, calls or attempts.
    """
    words, numbers = _known(view)
    found = []
    for figure in _figures(text):
        if not _occurs(figure, words, numbers):
            found.append(figure)
    return tuple(dict.fromkeys(found))


def _figures(text: str) -> Iterator[str]:
    for match in _WORD.finditer(_plain(text)):
        word = match[0]
        if any(letter.isdigit() for letter in word) or word.casefold() in NUMBER_WORDS:
            yield word
        else:
            # "twenty-five", "two/three"
            yield from (part for part in re.split(r"[-/]", word) if part.casefold() in NUMBER_WORDS)


def _plain(text: str) -> str:
    # NFKC turns all digits of the world's scripts into those that are compared; "½" becomes 0.5, and "−" a hyphen.
    text = re.sub(r"[¼-¾⅐-⅞]", lambda match: f" {unicodedata.numeric(match[0]):g}", text)
    text = unicodedata.normalize("NFKC", text).replace("−", "-")
    # As Python writes large numbers: "1e+22".
    return re.sub(r"(?<=\d)[eE]\+(?=\d)", "e", text)


def _occurs(figure: str, words: set[str], numbers: set[Decimal]) -> bool:
    word = figure.casefold()
    if word in words:
        return True
    if word in NUMBER_WORDS:
        value = NUMBER_WORDS[word]
        return value is not None and Decimal(value) in numbers
    number = _number(word)
    if number is not None:
        return number in numbers
    if _DATE.search(word):
        return False
    # "49.90eur", "order-1002", "3/4": each part by itself.
    parts = [part for part in re.split(r"[-:/@']|(?<=\d)(?=[^\W\d])", word) if any(map(str.isdigit, part))]
    return parts != [word] and bool(parts) and all(_occurs(part, words, numbers) for part in parts)


def _number(word: str) -> Decimal | None:
    if re.fullmatch(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", word):
        word = word.replace(",", "")
    elif re.fullmatch(r"[-+]?\d{1,3}(?:'\d{3})+(?:\.\d+)?", word):
        word = word.replace("'", "")
    elif re.fullmatch(r"[-+]?\d+,\d+", word):
        word = word.replace(",", ".")
    if not re.fullmatch(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d{1,3})?", word):
        return None
    return Decimal(word)


def _known(view: RunView) -> tuple[set[str], set[Decimal]]:
    words: set[str] = set()
    numbers: set[Decimal] = set()

    def read(text: str) -> None:
        for match in _WORD.finditer(_plain(text)):
            word = match[0].casefold()
            number = _number(word)
            if number is not None:
                numbers.add(number)
            elif _DATE.match(word):
                words.update(_stamped(word))
            else:
                parts = {word, *re.split(r"[-:/@.,_]", word)}
                words.update(part for part in parts if part in NUMBER_WORDS or any(map(str.isdigit, part)))

    def walk(value: JSON) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                read(key)
                if key.endswith("_at") or key == "until":
                    words.update(_stamped(saga.iso(part)) if isinstance(part, int | float) else ())
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)
        elif isinstance(value, str):
            read(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers.add(Decimal(repr(value)))

    walk(view.model_dump(mode="json"))
    read(lasted(view))
    counts = [len(view.steps), len([step for step in view.steps if step.kind == "task"]), len(view.undone)]
    counts += [sum(len(step.calls) for step in view.steps), *(len(step.calls) for step in view.steps)]
    numbers |= {Decimal(count) for count in counts}
    return words, numbers


def _stamped(moment: str) -> set[str]:
    """The forms in which a moment (ISO 8601) is told: whole, its date, its time, its minute."""
    stamp = moment.casefold()
    return {stamp, stamp.removesuffix("z"), stamp[:10], stamp[11:], stamp[11:19], stamp[11:16]} - {""}

"""The libraries written in Lua: compared with Python's own in random cases, bounded, read-only, free where unused."""

from __future__ import annotations

import base64
import calendar
import csv
import datetime
import hashlib
import hmac
import importlib.util
import io
import json
import random
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import lupa.lua55
import pytest

from ritesmith.guard.lua import load_rules
from ritesmith.models import Limits, Outcome
from ritesmith.sandbox import Sandbox

HOME = Path(__file__).parent.parent
SANDBOX = HOME / "ritesmith" / "sandbox"
DOCS = HOME / "docs" / "lua.md"
SEED = 20_261_123
WIDE = Limits(fuel=10**10, memory_bytes=512 << 20, deadline_seconds=120, output_bytes=32 << 20)
UTC = datetime.timezone.utc  # noqa: UP017  beside other fixed offsets


def load_worker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sandbox_worker", SANDBOX / "worker.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = load_worker()
CODE = worker.Code(lupa.lua55)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as pool:
        yield pool


def run(sandbox: Sandbox, body: str, given: Any = None, **more: Any) -> Outcome:
    return sandbox.run(f"function run(input, context) {body} end", {} if given is None else given, **more)


def caught(sandbox: Sandbox, call: str, **more: Any) -> str:
    """The text of the error that a call raises."""
    outcome = run(
        sandbox, f"local ok, problem = pcall(function() local x = {call} return x end) return problem", **more
    )
    assert outcome.status == "ok", outcome.message
    assert isinstance(outcome.output, str)
    return outcome.output


# ---------------------------------------------------------------- in step with each other


def documented() -> dict[str, str]:
    """Name of a function -> its arguments, as the headings of the reference have them."""
    headings = re.findall(r"^### ([a-z0-9_.]+)\((.*)\)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(dict(headings)) == len(headings)
    return dict(headings)


def test_the_reference_the_guard_and_the_sandbox_know_the_same_functions(sandbox: Sandbox) -> None:
    rules = load_rules(HOME / "guardrails" / "lua.toml")
    offered = sandbox.offered_names()
    ours = {f"{library}.{name}" for library in worker.LIBRARIES for name in offered[library]}

    assert rules.signatures.keys() == ours
    assert {name: said for name, said in documented().items() if not name.startswith("json.")} == rules.signatures
    assert documented().keys() - ours == {f"json.{name}" for name in offered["json"]} - {"json.null"}


def test_the_files_of_the_libraries_are_the_ones_that_the_worker_knows() -> None:
    assert sorted(file.stem for file in (SANDBOX / "libraries").iterdir()) == sorted((*worker.LIBRARIES, "checks"))


@pytest.mark.parametrize("library", worker.LIBRARIES)
def test_a_function_has_the_parameters_that_are_documented_and_the_file_writes_no_global(library: str) -> None:
    lua = lupa.lua55.LuaRuntime()
    parameters = lua.eval(
        """
        function(checks, source)
          json = {null = {}}
          local meta = {__index = _G, __newindex = function(_, name) error("writes " .. name) end}
          local function made(text, argument)
            return assert(load(text, "=file", "t", setmetatable({}, meta)))(argument)
          end
          local found = {}
          for name, member in pairs(made(source, made(checks, error))) do
            local names = {}
            for i = 1, debug.getinfo(member, "u").nparams do names[i] = debug.getlocal(member, i) end
            found[name] = table.concat(names, ", ")
          end
          return found
        end
        """
    )
    folder = SANDBOX / "libraries"
    made = dict(parameters((folder / "checks.lua").read_text(), (folder / f"{library}.lua").read_text()))
    wanted = {name: said.replace("[", "").replace("]", "") for name, said in documented().items()}
    assert {f"{library}.{name}": said for name, said in made.items()} == {
        name: said for name, said in wanted.items() if name.startswith(f"{library}.")
    }


EXAMPLES = [
    (line.strip(), answer.strip())
    for block in re.findall(r"^```lua\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for line, answer in re.findall(r"^(.+?) --> (.*)$", block, re.MULTILINE)
]


def test_each_function_of_the_reference_has_an_example() -> None:
    assert all(any(name + "(" in example for example, _ in EXAMPLES) for name in documented())


@pytest.mark.parametrize(("example", "answer"), EXAMPLES, ids=[example for example, _ in EXAMPLES])
def test_the_examples_of_the_reference_are_true(sandbox: Sandbox, example: str, answer: str) -> None:
    if answer.startswith("error: "):
        assert caught(sandbox, example) == "capability:1: " + answer.removeprefix("error: ")
    else:
        outcome = run(sandbox, f"return ({example})")
        assert outcome.status == "ok", outcome.message
        assert outcome.output == json.loads(answer)


# ---------------------------------------------------------------- beside Python

HEX = r"""
local function byte_of(digits) return string.char(tonumber(digits, 16)) end
local function bytes_of(digits) return (digits:gsub("%x%x", byte_of)) end
local function digits_of(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function each(list, f)
  local out = {}
  for i, item in ipairs(list) do
    local ok, answer = pcall(f, item)
    out[i] = ok and answer or {error = answer}
    if ok and answer == nil then out[i] = json.null end
    if ok and answer == false then out[i] = false end
  end
  return out
end
"""


def compare(sandbox: Sandbox, title: str, cases: list[tuple[Any, Any]], function: str) -> None:
    """`function(item)` in Lua answers each case's first part with its second."""
    print(f"{title}: seed {SEED}, {len(cases)} cases")
    for start in range(0, len(cases), 500):
        batch = cases[start : start + 500]
        body = f"return each(input, function(item) {function} end)"
        outcome = sandbox.run(f"{HEX} function run(input) {body} end", [given for given, _ in batch], limits=WIDE)
        assert outcome.status == "ok", outcome.message
        assert isinstance(outcome.output, list)
        for (given, expected), answer in zip(batch, outcome.output, strict=True):
            assert answer == expected, f"{title}, seed {SEED}: {given!r} gives {answer!r}, not {expected!r}"


def some_bytes(dice: random.Random, most: int) -> bytes:
    kind = dice.randrange(3)
    size = dice.randrange(most)
    if kind == 0:
        return dice.randbytes(size)
    if kind == 1:
        return bytes(dice.choice(b"\x00\xff\xfb\xef+/-_=") for _ in range(size))
    return bytes(dice.choice(b"abc ,;\"'\r\n\t") for _ in range(size))


def test_base64_is_that_of_python(sandbox: Sandbox) -> None:
    dice = random.Random(SEED)
    cases: list[tuple[Any, Any]] = []
    for _ in range(3000):
        data = some_bytes(dice, 100)
        usual, for_urls = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
        cut = dice.randrange(len(usual) + 1)
        spaced = usual[:cut] + dice.choice(["\n", " ", "\r\n\t"]) + usual[cut:]
        cases.append(([data.hex(), usual, for_urls, spaced], [usual, for_urls.rstrip("="), *[data.hex()] * 5]))
    compare(
        sandbox,
        "base64",
        cases,
        "local b, bare = bytes_of(item[1]), item[2]:gsub('=', '') "
        "return {base64.encode(b), base64.encode_url(b), digits_of(base64.decode(item[2])), "
        "digits_of(base64.decode_url(item[3])), digits_of(base64.decode(item[4])), digits_of(base64.decode(bare)), "
        "digits_of(base64.decode_url((item[3]:gsub('=', ''))))}",
    )


def test_what_is_no_base64_is_refused_as_python_does(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 1)
    cases: list[tuple[Any, Any]] = []
    while len(cases) < 3000:
        text = "".join(dice.choice("Aa0+/=*-_é") for _ in range(dice.randrange(12)))
        bare = text.rstrip("=")
        padded = bare + "=" * (-len(bare) % 4)
        # Padding may be left out here, and not in Python.
        try:
            expected: Any = base64.b64decode(padded, validate=True).hex() if text in (bare, padded) else None
        except ValueError:
            expected = None
        cases.append((text, expected))
    compare(
        sandbox,
        "no base64",
        cases,
        "local ok, data = pcall(base64.decode, item) if ok then return digits_of(data) end return nil",
    )


def test_sha256_and_hmac_are_those_of_python(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 2)
    cases: list[tuple[Any, Any]] = []
    for number in range(1000):
        # Each size around the edges of a block comes up.
        data = dice.randbytes(number if number < 300 else dice.randrange(400))
        key = some_bytes(dice, 200)
        digests = [hashlib.sha256(data).hexdigest(), hmac.new(key, data, "sha256").hexdigest()]
        cases.append(([data.hex(), key.hex()], digests))
    compare(
        sandbox,
        "hash",
        cases,
        "local data, key = bytes_of(item[1]), bytes_of(item[2]) "
        "return {hash.sha256(data), hash.hmac_sha256(key, data)}",
    )


# ---------------------------------------------------------------- dates beside Python


def some_time(dice: random.Random) -> datetime.datetime:
    if dice.random() < 0.1:
        year = dice.choice([1, 2, 1582, 1600, 1899, 1900, 1970, 2000, 2024, 2100, 9998, 9999])
    else:
        year = dice.randrange(1, 10000) if dice.random() < 0.3 else dice.randrange(1950, 2060)
    month = dice.choice([1, 2, 3, 12, dice.randrange(1, 13)])
    last = calendar.monthrange(year, month)[1]
    day = dice.choice([1, last, max(1, last - 1), dice.randrange(1, last + 1)])
    return datetime.datetime(
        year, month, day, dice.choice([0, 23, dice.randrange(24)]), dice.randrange(60), dice.choice([0, 59]),
        dice.choice([0, 0, 0, 500_000, 250_000, 999_999, dice.randrange(1_000_000)]), UTC,
    )  # fmt: skip


def some_zone(dice: random.Random) -> tuple[str, datetime.timezone]:
    minutes = dice.choice([0, 0, 60, -300, 330, 840, -720, dice.randrange(-1439, 1440)])
    shown = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    if minutes == 0 and dice.random() < 0.7:
        shown = "Z"
    elif dice.random() < 0.2:
        shown = shown.replace(":", "")
    return shown, datetime.timezone(datetime.timedelta(minutes=minutes))


def seconds_of(moment: datetime.datetime) -> int:
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // datetime.timedelta(seconds=1)


def in_form(between: str, seconds: bool, fraction: str, zone: str, moment: datetime.datetime) -> str:
    clock = moment.strftime("%H:%M:%S" if seconds or moment.second else "%H:%M")
    return moment.date().isoformat() + between + clock + (fraction if moment.microsecond else "") + zone


def some_text(dice: random.Random) -> tuple[str, datetime.datetime, Callable[[datetime.datetime], str]]:
    """An ISO 8601 text, the moment it stands for, and what writes another moment in its form."""
    while True:
        moment = some_time(dice)
        if dice.random() < 0.25:
            day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
            return day.date().isoformat(), day, lambda other: other.date().isoformat()
        shown, zone = some_zone(dice)
        moment = moment.replace(tzinfo=zone)
        digits = f"{moment.microsecond:06d}".rstrip("0" if dice.random() < 0.5 else "")
        fraction = dice.choice("...,") + digits if moment.microsecond else ""
        seconds = bool(fraction) or moment.second != 0 or dice.random() < 0.7
        write = partial(in_form, dice.choice("TTT t"), seconds, fraction, shown)
        try:
            moment.astimezone(UTC)
        except OverflowError:
            continue
        return write(moment), moment, write


def test_dates_are_read_as_python_reads_them(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 3)
    cases: list[tuple[Any, Any]] = []
    for _ in range(4000):
        text, moment, _write = some_text(dice)
        # Python knows no small t.
        assert datetime.datetime.fromisoformat(text.replace("t", "T")).replace(tzinfo=moment.tzinfo) == moment
        expected = seconds_of(moment) + (moment.microsecond / 1e6 if moment.microsecond else 0)
        cases.append((text, [expected, "float" if moment.microsecond else "integer", True]))
    compare(
        sandbox,
        "date.parse",
        cases,
        "local seconds = date.parse(item) return {seconds, math.type(seconds), date.is_valid(item)}",
    )


def test_what_is_no_date_is_refused(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 4)
    cases: list[tuple[Any, Any]] = []
    form = re.compile(
        r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:[Zz]|[+-]\d\d(?::?[0-5]\d)?)?)?", re.ASCII
    )
    while len(cases) < 4000:
        text = list(some_text(dice)[0])
        for _ in range(dice.randrange(1, 3)):
            place = dice.randrange(len(text))
            text[place : place + dice.randrange(2)] = dice.choice(
                ["", "0", "3", "6", "9", "-", ":", "T", "Z", "+", "x"]
            )
        changed = "".join(text)
        expected = bool(form.fullmatch(changed))
        if expected:
            try:
                read = datetime.datetime.fromisoformat(changed.upper().replace(",", "."))
                if read.tzinfo is not None:
                    read.astimezone(UTC)
            except (ValueError, OverflowError):
                expected = False
        cases.append((changed, [expected, expected]))
    compare(sandbox, "no date", cases, "return {date.is_valid(item), (pcall(date.parse, item))}")


CODES = "%Y|%m|%d|%y|%j|%H|%I|%M|%S|%p|%a|%A|%b|%B|%u|%G|%V|%F|%T|%z|%f|%s|%%"


def in_python(moment: datetime.datetime) -> str:
    """CODES by strftime, years filled to four digits as it does not do everywhere."""
    year, iso_year = f"{moment.year:04d}", f"{moment.isocalendar().year:04d}"
    pattern = CODES.replace("%F", f"{year}-%m-%d").replace("%Y", year).replace("%G", iso_year)
    return moment.strftime(pattern.replace("%s", str(seconds_of(moment))))


def test_dates_are_written_as_python_writes_them(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 5)
    cases: list[tuple[Any, Any]] = []
    while len(cases) < 3000:
        text, moment, _write = some_text(dice)
        if moment.year == 9999 and moment.month == 12:
            continue  # a week of the year 10000 has no Python
        day_only = len(text) == 10
        minutes = None if day_only or dice.random() < 0.5 else dice.randrange(-1439, 1440)
        shown = moment
        if minutes is not None:
            try:
                shown = moment.astimezone(datetime.timezone(datetime.timedelta(minutes=minutes)))
            except OverflowError:
                continue
        offset = (shown.utcoffset() or datetime.timedelta()) // datetime.timedelta(minutes=1)
        second = shown.second + shown.microsecond / 1e6 if shown.microsecond else shown.second
        parts = [
            shown.year, shown.month, shown.day, shown.hour, shown.minute, second, shown.isoweekday(),
            shown.timetuple().tm_yday, offset, moment.isoweekday(),
        ]  # fmt: skip
        whole = shown.isoformat().replace("+00:00", "Z") if not day_only else text
        cases.append(([text, minutes], [in_python(shown), *parts, whole]))
    compare(
        sandbox,
        "date.format",
        cases,
        f"local m, o = item[1], item[2] if o == json.null then o = nil end local p = date.parts(m, o) "
        f"local iso = date.format(m, nil, o) "
        f"local digits = iso:match('[.,](%d+)') "
        f"if digits then iso = iso:gsub('[.,]%d+', '.' .. text.pad_end(digits, 6, '0')) end "
        f"assert(date.make(p) == date.parse(m) or math.abs(date.make(p) - date.parse(m)) < 1e-4) "
        f"return {{date.format(m, '{CODES}', o), p.year, p.month, p.day, p.hour, p.minute, "
        f"p.second, p.weekday, p.yearday, p.offset, date.weekday(m), iso}}",
    )


def months_later(moment: datetime.datetime, months: int) -> datetime.datetime:
    index = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(index, 12)
    if not 1 <= year <= 9999:
        raise OverflowError
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))


def test_amounts_are_added_as_python_adds_them(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 6)
    cases: list[tuple[Any, Any]] = []
    for _ in range(4000):
        text, moment, write = some_text(dice)
        amounts: dict[str, int] = {}
        for unit, most in (
            ("years", 30),
            ("months", 40),
            ("weeks", 60),
            ("days", 400),
            ("hours", 99),
            ("minutes", 9999),
        ):
            if dice.random() < 0.4:
                amounts[unit] = dice.randrange(-most, most + 1)
        if dice.random() < 0.3:
            amounts["seconds"] = dice.randrange(-(10**6), 10**6)
        if dice.random() < 0.05:
            amounts[dice.choice(["days", "years", "months"])] = dice.randrange(-9999, 9999)
        clock = {unit: amounts.get(unit, 0) for unit in ("hours", "minutes", "seconds")}
        expected: Any
        try:
            result = months_later(moment, amounts.get("years", 0) * 12 + amounts.get("months", 0))
            result += datetime.timedelta(weeks=amounts.get("weeks", 0), days=amounts.get("days", 0), **clock)
            result.astimezone(UTC)
            refused = len(text) == 10 and datetime.timedelta(**clock) != datetime.timedelta()
            expected = None if refused else write(result)
        except OverflowError:
            expected = "?"
        cases.append(([text, amounts], expected))
    # Python gives up at the edge where an intermediate step leaves the calendar.
    kept = [case for case in cases if case[1] != "?"]
    assert len(kept) > 3000
    function = "local ok, answer = pcall(date.add, item[1], item[2]) if ok then return answer end return nil"
    compare(sandbox, "date.add", kept, function)


def whole_months(first: datetime.datetime, last: datetime.datetime) -> int:
    """By counting: the most months that can be gone from one towards the other without passing it."""
    last = last.astimezone(first.tzinfo)
    step = 1 if last >= first else -1
    guess = ((last.year - first.year) * 12 + last.month - first.month) + 2 * step
    while guess * step > 0:
        try:
            reached = months_later(first, guess)
        except OverflowError:
            guess -= step
            continue
        if (reached <= last) if step > 0 else (reached >= last):
            return guess
        guess -= step
    return 0


def test_differences_are_those_of_python(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 7)
    cases: list[tuple[Any, Any]] = []
    while len(cases) < 3000:
        one, first, _ = some_text(dice)
        other, last, _ = some_text(dice)
        try:
            months = whole_months(first, last)
        except OverflowError:
            continue
        micro = (last - first) // datetime.timedelta(microseconds=1)
        sign = -1 if micro < 0 else 1
        sizes = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
        expected = {unit: sign * (abs(micro) // (10**6 * size)) for unit, size in sizes.items()}
        years = months // 12 if months >= 0 else -(-months // 12)
        cases.append(([one, other], expected | {"months": months, "years": years, "default": expected["seconds"]}))
    compare(
        sandbox,
        "date.diff",
        cases,
        "local out = {default = date.diff(item[1], item[2])} "
        "for _, unit in ipairs{'seconds', 'minutes', 'hours', 'days', 'weeks', 'months', 'years'} do "
        "out[unit] = date.diff(item[1], item[2], unit) end return out",
    )


def test_starts_are_those_of_python(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 8)
    cases: list[tuple[Any, Any]] = []
    while len(cases) < 2000:
        text, moment, write = some_text(dice)
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        if moment.year in (1, 9999):
            continue
        starts = {
            "year": day.replace(month=1, day=1),
            "quarter": day.replace(month=moment.month - (moment.month - 1) % 3, day=1),
            "month": day.replace(day=1),
            "week": day - datetime.timedelta(days=moment.isoweekday() - 1),
            "day": day,
            "hour": moment.replace(minute=0, second=0, microsecond=0),
            "minute": moment.replace(second=0, microsecond=0),
        }
        cases.append((text, {unit: write(start) for unit, start in starts.items()}))
    compare(
        sandbox,
        "date.start_of",
        cases,
        "local out = {} for _, unit in ipairs{'year', 'quarter', 'month', 'week', 'day', 'hour', 'minute'} do "
        "out[unit] = date.start_of(item, unit) end return out",
    )


def test_every_month_has_its_days(sandbox: Sandbox) -> None:
    years = [*range(1, 10_000, 37), 1900, 2000, 2023, 2024, 2100, 9999]
    cases: list[tuple[Any, Any]] = [
        (year, [calendar.isleap(year), *(calendar.monthrange(year, month)[1] for month in range(1, 13))])
        for year in years
    ]
    function = (
        "local out = {date.is_leap(item)} for m = 1, 12 do out[m + 1] = date.days_in_month(item, m) end return out"
    )
    compare(sandbox, "months", cases, function)


# ---------------------------------------------------------------- csv beside Python

CELLS = ["", "a", "1", " x ", "é日", '"', '""', "a\nb", "\r\n", "a,b", ";", "'", "\t", "x" * 30, "\ufeff", "#"]


def test_csv_is_read_and_written_as_python_does(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 9)
    cases: list[tuple[Any, Any]] = []
    for _ in range(3000):
        separator, line_end = dice.choice([",", ";", "\t", "|"]), dice.choice(["\n", "\r\n"])
        width = dice.randrange(1, 5)
        rows = [
            [dice.choice(CELLS) if dice.random() < 0.7 else str(dice.random()) for _ in range(width)]
            for _ in range(dice.randrange(6))
        ]
        written = io.StringIO(newline="")
        quoting: Any = dice.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        csv.writer(written, delimiter=separator, lineterminator=line_end, quoting=quoting).writerows(rows)
        text = written.getvalue()
        if quoting == csv.QUOTE_MINIMAL and dice.random() < 0.3:
            text = text.removesuffix(line_end)
        if text.startswith("\ufeff"):
            continue
        read = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
        assert read == [row for row in rows if row]
        cases.append(([text, separator, line_end], [read, read]))
    compare(
        sandbox,
        "csv",
        cases,
        "local options = {separator = item[2], header = false} local rows = csv.parse(item[1], options) "
        "options.line_end = item[3] local text = csv.write(rows, options) "
        "return {rows, csv.parse(text, {separator = item[2], header = false})}",
    )


def test_csv_of_objects_is_what_python_reads_and_writes(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 10)
    cases: list[tuple[Any, Any]] = []
    for _ in range(2000):
        columns = dice.sample(["id", "name", "a b", "né", 'q"', "x,y", "z"], dice.randrange(1, 5))
        rows = [{name: dice.choice(CELLS) for name in columns} for _ in range(dice.randrange(5))]
        written = io.StringIO(newline="")
        writer = csv.DictWriter(written, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        cases.append(([written.getvalue(), columns], [rows, columns]))
    compare(
        sandbox,
        "csv of objects",
        cases,
        "local rows, columns = csv.parse(item[1]) assert(#rows > 0 or csv.write(rows, {columns = columns}) == item[1]) "
        "local again = csv.parse(csv.write(rows, {columns = item[2]})) "
        "assert(json.encode(again) == json.encode(rows)) return {rows, columns}",
    )


def test_random_csv_is_read_or_refused_as_python_does_strictly(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 11)
    cases: list[tuple[Any, Any]] = []
    while len(cases) < 4000:
        text = "".join(dice.choice('ab,",\n\r\n') for _ in range(dice.randrange(15)))
        expected: Any
        try:
            expected = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
        except csv.Error:
            expected = None
        cases.append((text, expected))
    function = "local ok, rows = pcall(csv.parse, item, {header = false}) if ok then return rows end return nil"
    compare(sandbox, "random csv", cases, function)


# ---------------------------------------------------------------- texts beside Python


def test_texts_are_handled_as_python_does(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 12)
    letters = ["a", "b", "A", "é", "日", " ", "  ", "\t", "\n", "\r\n", ",", ".", "%", "^", "[", "-", "aa", "'", "0"]
    spaces = " \t\n\v\f\r"
    cases: list[tuple[Any, Any]] = []
    for _ in range(6000):
        text = "".join(dice.choice(letters) for _ in range(dice.randrange(14)))
        part = "".join(dice.choice(letters) for _ in range(dice.randrange(1, 3)))
        if dice.random() < 0.1:
            part = "".join(dice.choice(letters) for _ in range(60))
            text = text + part + text
        limit, width, fill = dice.randrange(1, 4), dice.randrange(1, 20), dice.choice([" ", "0", "é", "ab", "日本"])
        missing = max(0, width - len(text))
        filling = (fill * missing)[:missing]
        words = [word for word in re.split(f"[{spaces}]+", text) if word]
        ended = re.sub("\r\n|\r", "\n", text)
        cases.append(
            (
                {"s": text, "p": part, "n": limit, "w": width, "f": fill},
                [
                    text.strip(spaces), text.lstrip(spaces), text.rstrip(spaces), text.split(part),
                    text.split(part, limit - 1), ended.removesuffix("\n").split("\n") if ended else [], words,
                    text.startswith(part), text.endswith(part), part in text, text.count(part),
                    text.replace(part, "%1"), text.replace(part, "", limit), filling + text, text + filling,
                    textwrap.wrap(" ".join(words), width, break_long_words=False, break_on_hyphens=False),
                ],
            )
        )  # fmt: skip
    compare(
        sandbox,
        "text",
        cases,
        "local s, p = item.s, item.p return {text.trim(s), text.trim_start(s), text.trim_end(s), text.split(s, p), "
        "text.split(s, p, item.n), text.lines(s), text.words(s), text.starts_with(s, p), text.ends_with(s, p), "
        "text.contains(s, p), text.count(s, p), text.replace(s, p, '%1'), text.replace(s, p, '', item.n), "
        "text.pad_start(s, item.w, item.f), text.pad_end(s, item.w, item.f), text.wrap(s, item.w)}",
    )


def test_letters_are_those_of_ascii(sandbox: Sandbox) -> None:
    dice = random.Random(SEED + 13)
    cases: list[tuple[Any, Any]] = []
    for _ in range(1000):
        text = "".join(dice.choice("aZq0 -_.éÀß日'") for _ in range(dice.randrange(12)))
        raw = text.encode()
        title = re.sub(
            rb"[A-Za-z0-9\x80-\xff][A-Za-z0-9'\x80-\xff]*", lambda word: word[0][:1].upper() + word[0][1:].lower(), raw
        )
        cases.append((text, [raw.upper().decode(), raw.lower().decode(), title.decode()]))
    compare(sandbox, "letters", cases, "return {text.upper(item), text.lower(item), text.title(item)}")


# ---------------------------------------------------------------- errors

WRONG = {
    "text.trim()": "text.trim: text must be a string, got nil",
    "text.split('a', 5)": "text.split: separator must be a string that is not empty, got 5",
    "text.split('a', ',', 0)": "text.split: limit must be a whole number from 1 to 9007199254740992, got 0",
    "text.pad_start('a', 1.5)": "text.pad_start: width must be a whole number from 0 to 1000000, got 1.5",
    "text.pad_end('a', 0/0)": "text.pad_end: width must be a whole number from 0 to 1000000, got nan",
    "text.replace('a', 'b', nil)": "text.replace: new must be a string, got nil",
    "text.lines({})": "text.lines: text must be a string, got a table",
    "text.lines(json.null)": "text.lines: text must be a string, got null",
    "hash.hmac_sha256('key')": "hash.hmac_sha256: bytes must be a string, got nil",
    "base64.encode(run)": "base64.encode: bytes must be a string, got a function",
    "base64.decode('aGVsbG8_')": (
        "base64.decode: text has '_' at character 8, which is no base64; for '-' and '_' use base64.decode_url"
    ),
    "base64.decode('abcde')": "base64.decode: text has 5 characters and 0 '=' after them, which is no base64",
    "date.parse(5)": "date.parse: text must be a string, got 5",
    "date.parse('2026-13-01')": (
        "date.parse: text must be an ISO 8601 date or date-time, got '2026-13-01': there is no such month"
    ),
    "date.parse(('9'):rep(100))": (
        "date.parse: text must be an ISO 8601 date or date-time, got '9999999999999999999999999999999999999999...': "
        "it has more than 64 characters"
    ),
    "date.format(1e15)": "date.format: moment must be in the years 1 to 9999, which 1e+15 seconds are not",
    "date.format(0/0)": "date.format: moment must be in the years 1 to 9999, which nan seconds are not",
    "date.format({})": "date.format: moment must be an ISO 8601 text or a number of seconds since 1970, got a table",
    "date.format(0, '%Q')": "date.format: pattern has '%Q', which stands for nothing; '%%' is a percent sign",
    "date.format(0, 'at %')": "date.format: pattern has '%', which stands for nothing; '%%' is a percent sign",
    "date.format(0, nil, 'CET')": "date.format: offset must be a text such as Z or +02:00, or minutes, got 'CET'",
    "date.format('2026-01-31', nil, 60)": (
        "date.format: a date without a time has no offset to change; give it a time"
    ),
    "date.add('2026-01-31', {day = 1})": (
        "date.add: amounts has the field 'day'; it may have: years, months, weeks, days, hours, minutes, seconds"
    ),
    "date.add('9999-12-31', {days = 1})": "date.add: the result is not in the years 1 to 9999",
    "date.add('2026-01-31', {days = '1'})": (
        "date.add: amounts.days must be a whole number from -400000000000 to 400000000000, got '1'"
    ),
    "date.diff('2026-01-31', '2026-01-31', 'day')": (
        "date.diff: unit must be one of years, months, weeks, days, hours, minutes, seconds, got 'day'"
    ),
    "date.make({year = 2026})": "date.make: parts.month must be a whole number from 1 to 12, got nil",
    "csv.parse('a,a\\n1,2')": "csv.parse: two columns of text have the name 'a'",
    "csv.parse('a,\\n1,2')": "csv.parse: column 2 of text has no name",
    "csv.parse('a\\n\"open')": "csv.parse: text ends inside a quoted cell of record 2",
    "csv.parse('a\\n\"x\"y')": "csv.parse: text has 'y' after the closing quote of cell 1 of record 2",
    "csv.parse('a', {delimiter = ';'})": "csv.parse: options has the field 'delimiter'; it may have: header, separator",
    "csv.parse('a', {separator = '::'})": (
        "csv.parse: options.separator must be one ASCII character other than a quote or a line end, got '::'"
    ),
    "csv.write({{a = {}}})": "csv.write: rows[1].a must be a text, a number, true, false or null, got a table",
    "csv.write({{1}, {a = 1}})": "csv.write: rows[2] must be a list, as rows[1] is",
    "csv.write({{a = 1}, {1}})": "csv.write: rows[2] has the field 1 and must be an object, as rows[1] is",
    "csv.write({{1, 0/0}})": "csv.write: rows[1][2] must be a text, a number, true, false or null, got nan",
    "csv.write({1})": "csv.write: rows[1] must be a table, got 1",
}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_argument_is_named_with_what_was_found_at_the_line_of_the_script(sandbox: Sandbox, call: str) -> None:
    assert caught(sandbox, call) == "capability:1: " + WRONG[call]


def test_an_uncaught_error_says_its_line(sandbox: Sandbox) -> None:
    outcome = run(sandbox, "local list = {}\nlist[1] = date.add(\n'2026-01-31', 5)\nreturn list")
    assert (outcome.status, outcome.line) == ("script_error", 2)
    assert "date.add: amounts must be a table, got 5" in outcome.message


@pytest.mark.parametrize("seed", range(3))
def test_random_arguments_end_in_an_answer_or_in_an_error_that_names_the_function(sandbox: Sandbox, seed: int) -> None:
    dice = random.Random(SEED + 20 + seed)
    print(f"seed {SEED + 20 + seed}")
    values = [
        "nil", "0", "-1", "1", "2.5", "1e300", "0/0", "math.mininteger", "''", "'a'", "'\\xff\\0'", "'%'",
        "'2026-01-31'", "'2026-01-31T10:00:00+02:00'", "'Z'", "'days'", "{}", "{1, 2}", "{{a = 1}}", "{{1}}",
        "{days = 1}", "run",
        "{year = 1, month = 1, day = 1}", "json.null", "true", "setmetatable({}, {__len = function() return 3 end})",
        "text",
    ]  # fmt: skip
    names = [name for name in documented() if not name.startswith("json.")]
    calls = [
        f"{dice.choice(names)}({', '.join(dice.choice(values) for _ in range(dice.randrange(4)))})" for _ in range(800)
    ]
    tries = " ".join(f"out[#out + 1] = {{pcall(function() local x = {call} end)}}" for call in calls)
    outcome = run(sandbox, f"local out = {{}} {tries} return out", limits=WIDE)
    assert outcome.status == "ok", outcome.message
    assert isinstance(outcome.output, list)
    for call, answer in zip(calls, outcome.output, strict=True):
        name = call.partition("(")[0]
        assert isinstance(answer, list)
        assert answer[0] is True or str(answer[1]).startswith(f"capability:1: {name}: "), (call, answer)


# ---------------------------------------------------------------- what a script may do with them


@pytest.mark.parametrize("library", worker.LIBRARIES)
def test_a_library_is_read_only_and_shows_nothing_of_itself(sandbox: Sandbox, library: str) -> None:
    outcome = run(
        sandbox,
        f"local l = {library} local ok, e = pcall(function() l.x = 1 end) local names = {{}} "
        f"for name, member in pairs(l) do names[#names + 1] = name assert(type(member) == 'function') end "
        f"return {{ok, e, getmetatable(l), names, l.x == nil, tostring(l)}}",
    )
    assert outcome.output == [
        False,
        f"capability:1: the library '{library}' is read-only: 'x' cannot be set; write a local function instead",
        False,
        sandbox.offered_names()[library],
        True,
        "library: #1",
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("local d = date function run() return d.is_leap(2024) end", True),
        ("local trim <const> = text.trim function run() return trim(' x ') end", "x"),
        ("function run() return _G['da' .. 'te'].is_leap(2024) end", True),
        ("function run() return _ENV['te' .. 'xt'].trim(' x ') end", "x"),
        ("function run() local text = {trim = 'own'} return text.trim end", "own"),
        ("function run(input) local date = input.date return date end", "d"),
        ("local function f(text) return text:upper() end function run() return f('x') end", "X"),
        ("text = 'mine' function run() return text end", "mine"),
        ("function run() return 'x'..text.upper('y') end", "xY"),
        ("function run() goto date ::date::date.is_leap(2024) return 1 end", 1),
        ("function run() return {} == text end", False),
        ("--[[ capability text ]]function run() return text.upper('y') end", "Y"),
        ("function run() local out = {} for k in pairs(_G) do out[k] = k end return {out.date, out.csv} end", None),
    ],
)
def test_a_library_is_found_by_whatever_way_a_script_goes_and_hidden_by_a_local(
    sandbox: Sandbox, source: str, expected: Any
) -> None:
    outcome = sandbox.run(source, {"date": "d"})
    assert outcome.status == "ok", outcome.message
    assert outcome.output == (["date", "csv"] if expected is None else expected)


def globals_given(source: bytes) -> set[str]:
    runtime = worker.Runtime(lupa.lua55, CODE)
    runtime.provide(worker.needed_by(source))
    runtime.add("offered")
    return {line.partition(":")[0] for line in runtime.do(b"tell").decode().split("\n")}


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        (b"return {n = input.text, context.date, update, a:text()}", set()),
        (b"return text", {"text"}),
        (b"x=date.parse", {"date"}),
        (b"x..text.y", {"text"}),
        (b"local text = input", {"text"}),
        (b"--[[ capability text, date ]] return 1", set()),
        (b"--[[ capability text, date ]] return csv", {"csv"}),
        (b"return _G", set(worker.LIBRARIES)),
        (b"local hash_of, my_hash, hash1 = 1", set()),
        (b"base64", {"base64"}),
    ],
)
def test_a_runtime_is_given_the_libraries_that_a_text_can_mean(source: bytes, meant: set[str]) -> None:
    given = {name for name in globals_given(source) if name in worker.LIBRARIES}
    assert given == meant


def test_a_part_is_loaded_for_each_global_of_it_and_for_a_library_all_of_them() -> None:
    of_parts = {name for names in worker.PARTS.values() for name in names}
    assert not of_parts & globals_given(b"return {input.pairs, x:json(), tables, pcalls}")
    for name in of_parts:
        assert name in globals_given(b"return type(" + name.encode() + b")")
    assert of_parts <= globals_given(b"return text.trim(input)")
    assert of_parts | set(worker.LIBRARIES) <= globals_given(b"return _ENV")


def test_a_local_of_the_same_name_loads_nothing(sandbox: Sandbox) -> None:
    def spent(body: str) -> tuple[int, int]:
        outcome = run(sandbox, body)
        assert outcome.status == "ok"
        return outcome.fuel, outcome.memory_bytes

    fuel, memory = spent("local date = {x = 1} for i = 1, 999 do date.x = date.x + i end return date.x")
    other_fuel, other = spent("local eta_ = {x = 1} for i = 1, 999 do eta_.x = eta_.x + i end return eta_.x")
    assert fuel == other_fuel
    # To load it takes some 30 KB.
    assert abs(memory - other) < 2000
    assert spent("return date.is_leap(2024)")[1] > memory + 10_000


def test_the_functions_of_a_script_do_not_reach_into_a_library(sandbox: Sandbox) -> None:
    body = (
        "rawset(string, 'sub', function() return 'changed' end) rawset(math, 'floor', nil) tostring = nil pairs = nil "
        "rawset(table, 'concat', nil) type = nil return {text.trim(' x '), date.format(0.5), csv.write({{1}})}"
    )
    assert run(sandbox, body).output == ["x", "1970-01-01T00:00:00.5Z", "1\n"]


def test_code_of_a_script_inside_a_library_may_raise_and_yield(sandbox: Sandbox) -> None:
    body = (
        "local row = setmetatable({}, {__index = function(_, key) return coroutine.yield(key) end}) "
        "local step = coroutine.wrap(function() return csv.write({row}, {columns = {'a', 'b'}}) end) "
        "local bad = setmetatable({}, {__index = function() error('own', 0) end}) "
        "return {step(), step('1'), step('2'), select(2, pcall(csv.write, {bad}, {columns = {'a'}}))}"
    )
    assert run(sandbox, body).output == ["a", "b", "a,b\n1,2\n", "own"]


def test_the_same_calls_cost_the_same_in_another_process(sandbox: Sandbox) -> None:
    body = (
        "local t = {} for i = 1, 50 do t[i] = hash.sha256(i .. base64.encode(date.format(i * 1e7))) end "
        "return csv.write({t}, {header = false})"
    )
    with Sandbox(workers=1) as other:
        first = run(sandbox, body)
        assert first.status == "ok"
        assert first == run(other, body) == run(sandbox, body)


# ---------------------------------------------------------------- limits

LIMITS_OF = {
    "fuel": Limits(fuel=2_000_000, deadline_seconds=20),
    "memory": Limits(fuel=100_000_000, memory_bytes=8 * 1024 * 1024, deadline_seconds=20),
}
SPENDERS = {
    "fuel, hashing": "hash.sha256(('x'):rep(500000))",
    "fuel, hashing again and again": "while true do hash.sha256('x') end",
    "fuel, trimming": "while true do text.trim((' '):rep(10000)) end",
    "fuel, reading csv": "while true do csv.parse(('a,b\\n'):rep(1000), {header = false}) end",
    "fuel, on the way of a metamethod": (
        "csv.write({setmetatable({}, {__index = function() while true do end end})}, {columns = {'a'}})"
    ),
    "memory, splitting": "text.split((('x'):rep(50) .. ','):rep(70000), ',')",
    "memory, padding": "local t = {} for i = 1, 99 do t[i] = text.pad_start('' .. i, 1000000) end",
    "memory, encoding": "base64.encode(('x'):rep(3000000))",
    "memory, writing csv": "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(9000) end csv.write({t})",
}
PLACES = {
    "bare": "spend()",
    "pcall": "pcall(spend) return 'caught'",
    "a loop of pcalls": "while true do pcall(spend) end",
    "xpcall": "xpcall(spend, function(e) return e end) return 'caught'",
    "a coroutine": "coroutine.resume(coroutine.create(spend)) return 'caught'",
    "a nest of coroutines": (
        "local f = spend for i = 1, 20 do local g = f f = function() coroutine.wrap(g)() end end pcall(f) "
        "return 'caught'"
    ),
    "a closing handler": (
        "pcall(function() local x <close> = setmetatable({}, {__close = spend}) error('x') end) return 'caught'"
    ),
    "a gsub callback": "pcall(string.gsub, 'abc', '.', spend) return 'caught'",
    "a sort comparator": "pcall(table.sort, {3, 1, 2}, spend) return 'caught'",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("spender", SPENDERS)
def test_no_construct_catches_a_limit_that_a_library_meets(sandbox: Sandbox, spender: str, place: str) -> None:
    limit = spender.split(",")[0]
    body = f"local function spend() {SPENDERS[spender]} end {PLACES[place]}"
    assert run(sandbox, body, limits=LIMITS_OF[limit]).status == limit
    assert run(sandbox, "return text.trim(' fine ')").output == "fine"


@pytest.mark.parametrize(
    "body",
    [
        "return #text.split(input, 'aa')",
        "return #text.replace(input, 'ab', 'b')",
        "return #text.replace(input, input:sub(1, 5000), 'b')",
        "return text.count(input, ('a'):rep(40) .. 'b')",
        "return #text.lines(input)",
        "return #text.words(input)",
        "return #text.wrap(input, 10)",
        "return #text.trim(input)",
        "return #text.title(input)",
        "return text.contains(input, ('a'):rep(100000) .. 'c')",
        "return #csv.parse(input, {header = false})",
        "return #csv.write({{input}})",
        "return #base64.decode(base64.encode(input))",
        "return hash.sha256(input)",
        "return date.is_valid(input)",
        "return #date.format(0, input)",
        "return #date.format(0, ('%Y'):rep(#input // 2))",
    ],
)
@pytest.mark.parametrize("filling", ["ab", " ", '"', "a,\n"])
def test_a_huge_text_ends_well_or_by_fuel_or_memory_and_stalls_nowhere(
    sandbox: Sandbox, body: str, filling: str
) -> None:
    """A megabyte each, with the limits that a script has by default but for a deadline that a busy machine may need."""
    given = filling * (1_000_000 // len(filling))
    outcome = run(sandbox, body, given, limits=Limits(deadline_seconds=60))
    assert outcome.status in ("ok", "fuel", "memory", "script_error"), outcome.message


def test_what_is_split_and_counted_costs_by_its_length_and_not_by_its_square(sandbox: Sandbox) -> None:
    def fuel(body: str, size: int) -> int:
        outcome = run(sandbox, body, "a,b\n" * size, limits=WIDE)
        assert outcome.status == "ok", outcome.message
        return outcome.fuel

    for body in ("text.split(input, ',')", "text.lines(input)", "csv.parse(input, {header = false})"):
        assert fuel(f"return #{body}", 40_000) < 11 * fuel(f"return #{body}", 4_000)

"""The profile of the sandbox: every instruction in its line, sums that agree with the fuel, and limits as ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_sandbox_corpus import runner

from ritesmith.models import HostReply, Limits, Outcome
from ritesmith.sandbox import GrantDenied, Profile, Sandbox
from ritesmith.sandbox.profile import read_profile

FUEL = json.loads((Path(__file__).parent / "sandbox" / "fuel.json").read_text())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as pool:
        yield pool


class Profiled:
    """A sandbox that profiles whatever it runs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.seen: list[Profile] = []

    def run(self, *args: Any, **more: Any) -> Outcome:
        return self.sandbox.run(*args, **more, on_profile=self.seen.append)


def both(sandbox: Sandbox, source: str, input: Any, **more: Any) -> tuple[Outcome, Outcome, Profile]:
    """The outcome without and with a profile, as far as they must be equal, and the profile."""
    profiled = Profiled(sandbox)
    outcomes = [each.run(source, input, **more) for each in (sandbox, profiled)]
    plain, seen = (each.model_copy(update={"memory_bytes": 0}) for each in outcomes)
    return plain, seen, profiled.seen[0]


def spent(profile: Profile) -> dict[int, tuple[int, int]]:
    return {each.line: (each.instructions, each.charged) for each in profile.lines}


def test_each_instruction_is_in_its_line(sandbox: Sandbox) -> None:
    source = """local function double(x)
  return x * 2
end
function run(input)
  local sum = 0
  for i = 1, input.n do
    sum = sum + double(i)
  end
  return sum
end"""
    for n in (10, 1000):
        _, outcome, profile = both(sandbox, source, {"n": n})
        assert outcome.output == n * (n + 1)
        lines = spent(profile)
        # MULK and RETURN1; of the loop its body's GETUPVAL, MOVE, CALL and ADD, and its own FORLOOP.
        assert lines[2] == (2 * n, 0)
        assert lines[7] == (4 * n, 0)
        assert lines[6][0] - n in range(1, 6)
        assert 8 not in lines


def test_a_library_s_work_stands_in_the_line_that_called_it_and_a_callback_s_in_its_own(sandbox: Sandbox) -> None:
    source = """function run(input)
  local list = {3, 1, 2}
  table.sort(list, function(a, b)
    return a < b
  end)
  local text = ("x"):rep(80000)
  local ok = pcall(function()
    error("x")
  end)
  return {list, #text, ok}
end"""
    plain, outcome, profile = both(sandbox, source, {})
    assert plain == outcome
    lines = spent(profile)
    assert lines[4][0] in range(4, 20)
    assert lines[6][1] >= 10_000  # by its length
    assert 0 < lines[7][0] < 100
    assert all(charged == 0 for line, (_, charged) in lines.items() if line != 6)


def test_coroutines_and_their_price_are_in_their_lines(sandbox: Sandbox) -> None:
    source = """function run()
  local n = 0
  local each = coroutine.wrap(function()
    for i = 1, 3 do
      coroutine.yield(i)
    end
  end)
  for _ = 1, 3 do n = n + each() end
  return n
end"""
    plain, outcome, profile = both(sandbox, source, {})
    assert plain == outcome
    assert outcome.fuel == profile.fuel == 1200
    assert sum(charged for _, charged in spent(profile).values()) == 1200
    assert spent(profile)[5][0] > 3


@pytest.mark.parametrize("program", FUEL)
def test_the_lines_add_up_to_the_fuel_of_a_run_without_a_profile(sandbox: Sandbox, program: str) -> None:
    limits = Limits(fuel=1_000_000)
    plain, outcome, profile = both(sandbox, f"function run()\n{program}\nend", {}, limits=limits)
    assert plain == outcome
    assert profile.fuel == outcome.fuel or (outcome.status == "fuel" and profile.fuel > limits.fuel)
    lines = sum(each.spent for each in profile.lines)
    assert lines + profile.input + profile.output + profile.overhead - profile.uncounted == profile.fuel


@pytest.mark.parametrize("path", [*runner.files("benign"), *runner.files("determinism")], ids=lambda path: path.stem)
def test_an_ordinary_script_comes_to_the_same_and_spends_the_same(sandbox: Sandbox, path: Path) -> None:
    source = path.read_text()
    given = json.loads(runner.wanted(source, "input")) if path.parent.name == "benign" else runner.GIVEN
    plain, outcome, profile = both(sandbox, source, given)
    assert plain == outcome
    assert profile.fuel == outcome.fuel


@pytest.mark.parametrize("path", runner.files("attacks"), ids=lambda path: path.stem)
def test_an_attack_is_contained_while_it_is_profiled(sandbox: Sandbox, path: Path) -> None:
    limits = Limits(fuel=100_000, memory_bytes=32 * 1024 * 1024, deadline_seconds=10)
    status, problem = runner.attack(Profiled(sandbox), path.read_text(), limits)
    assert problem == ""
    assert status != "deadline"


def test_a_script_finds_no_name_that_it_does_not_find_otherwise(sandbox: Sandbox) -> None:
    plain, outcome, _ = both(sandbox, runner.PROBE, runner.GIVEN)
    assert plain == outcome
    seen = "function run() return {type(debug), type(profile), type(hook), type(collectgarbage)} end"
    assert both(sandbox, seen, {})[1].output == ["nil"] * 4


def test_host_calls_are_answered_and_paid_in_their_line(sandbox: Sandbox) -> None:
    source = 'function run()\n  local one = store.get{key = "a"}\n  return one.n\nend'
    more = {"functions": ["store.get"], "host": lambda name, arguments: HostReply(result={"n": 7})}
    plain, outcome, profile = both(sandbox, source, {}, **more)
    assert plain == outcome
    assert outcome.output == 7
    assert spent(profile)[2][1] > 100


def test_what_is_denied_or_dropped_has_no_profile(sandbox: Sandbox) -> None:
    def deny(name: str, arguments: Any) -> HostReply:
        raise GrantDenied("not there")

    profiled = Profiled(sandbox)
    outcome = profiled.run("function run() store.get{} end", {}, functions=["store.get"], host=deny)
    assert (outcome.status, profiled.seen) == ("grant_denied", [])
    assert profiled.run("function run( end", {}).status == "reject"
    assert sandbox.run("function run() return 1 end", {}).output == 1


def test_a_profile_that_no_worker_of_ours_tells_is_refused() -> None:
    assert read_profile("1 2 3 4\n7 10 0\n2 5 1") == Profile(
        lines=({"line": 2, "instructions": 5, "charged": 1}, {"line": 7, "instructions": 10, "charged": 0}),
        input=1,
        output=2,
        uncounted=3,
        overhead=4,
    )
    for text in ("", "1 2 3", "1 2 3 4\n1 2", "1 2 3 4\n-1 2 3", "1 2 3 4\n1 2 3 4", "1 2 3 " + "9" * 30, "a b c d"):
        assert read_profile(text) is None, text


def test_profiles_add_up_line_by_line(sandbox: Sandbox) -> None:
    source = "function run(input)\n  if input.a then return 1 end\n  return 2\nend"
    profiles = [both(sandbox, source, {"a": a})[2] for a in (True, False)]
    total = profiles[0] + profiles[1]
    assert total.fuel == profiles[0].fuel + profiles[1].fuel
    assert spent(total)[2][0] == spent(profiles[0])[2][0] + spent(profiles[1])[2][0]
    assert [each.line for each in total.lines] == sorted(each.line for each in total.lines)

"""The sandbox's interface: what a script sees, and what its caller gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritesmith.models import HostError, HostReply, Limits
from ritesmith.sandbox import GrantDenied, Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as pool:
        yield pool


def test_a_script_turns_its_input_into_its_output(sandbox: Sandbox) -> None:
    outcome = sandbox.run("function run(input) return {sum = input.a + input.b} end", {"a": 1, "b": 2})
    assert (outcome.status, outcome.output) == ("ok", {"sum": 3})


def test_host_calls_are_answered_by_the_host_and_replayed_by_recorded_results(sandbox: Sandbox) -> None:
    source = """
    function run(input)
      local ok, problem = pcall(store.get, {key = "absent"})
      local step = coroutine.wrap(function() coroutine.yield(store.get{key = "present"}) end)
      return {ok = ok, code = problem.code, text = tostring(problem), found = step()}
    end"""
    replies = {
        "absent": HostReply(error=HostError(code="not_there", message="no such key")),
        "present": HostReply(result={"value": 7}),
    }
    met: list[tuple[str, object]] = []

    def host(name: str, arguments: dict[str, str]) -> HostReply:
        met.append((name, arguments))
        return replies[arguments["key"]]

    live = sandbox.run(source, {}, functions=["store.get"], host=host)
    assert live.status == "ok"
    assert live.output == {"ok": False, "code": "not_there", "text": "not_there: no such key", "found": {"value": 7}}
    assert met == [("store.get", {"key": "absent"}), ("store.get", {"key": "present"})]

    asked: list[tuple[int, str, object]] = []
    recorded = sandbox.run(
        source,
        {},
        functions=["store.get"],
        results=list(replies.values()),
        on_recorded=lambda *about: asked.append(about),
    )
    assert recorded == live
    assert asked == [(i, name, arguments) for i, (name, arguments) in enumerate(met)]


def test_a_denied_grant_cannot_be_caught(sandbox: Sandbox) -> None:
    def host(name: str, arguments: object) -> HostReply:
        raise GrantDenied("the namespace is not granted")

    outcome = sandbox.run(
        "function run() while true do pcall(store.get, {}) end end", {}, functions=["store.get"], host=host
    )
    assert outcome.status == "grant_denied"
    assert "the namespace is not granted" in outcome.message


def test_an_exception_of_the_host_passes_through_and_the_pool_stays_usable(sandbox: Sandbox) -> None:
    def host(name: str, arguments: object) -> HostReply:
        raise ZeroDivisionError

    source = "function run() return pcall(store.get, {}) end"
    with pytest.raises(ZeroDivisionError):
        sandbox.run(source, {}, functions=["store.get"], host=host)
    assert sandbox.run("function run() return 1 end", {}).output == 1


def test_an_uncaught_host_error_ends_as_fail_with_its_code(sandbox: Sandbox) -> None:
    reply = HostReply(error=HostError(code="busy", message="later", retryable=True, details={"n": 1}))
    outcome = sandbox.run(
        "function run() return store.get{} end", {}, functions=["store.get"], host=lambda name, arguments: reply
    )
    assert (outcome.status, outcome.code, outcome.message) == ("fail", "busy", "later")
    assert outcome.retryable
    assert outcome.details == {"n": 1}


def test_a_host_function_that_is_not_offered_does_not_exist(sandbox: Sandbox) -> None:
    outcome = sandbox.run("function run() return store.put{} end", {}, functions=["store.get"])
    assert outcome.status == "script_error"
    assert "nil value (field 'put')" in outcome.message


def test_one_host_call_too_many_ends_the_execution(sandbox: Sandbox) -> None:
    outcome = sandbox.run(
        "function run() while true do pcall(store.get, {}) end end",
        {},
        functions=["store.get"],
        host=lambda name, arguments: HostReply(result={}),
        limits=Limits(host_calls=5),
    )
    assert (outcome.status, outcome.host_calls) == ("host_calls", 5)


def test_compiling_finds_the_line_and_says_what_to_write_instead(sandbox: Sandbox) -> None:
    assert sandbox.compile("function run() return 1 end") is None
    finding = sandbox.compile("local x = 1\nif x != 2 then end")
    assert finding is not None
    assert finding.where.line == 2
    assert "~=" in finding.hint


def test_with_declared_globals_the_compiler_finds_the_others(sandbox: Sandbox) -> None:
    source = "function run()\n  return strng.upper('x')\nend"
    assert sandbox.compile(source) is None
    finding = sandbox.compile(source, globals=["string"])
    assert finding is not None
    assert (finding.where.line, "'strng'" in finding.message) == (2, True)


def test_layout_comments_and_local_names_do_not_change_the_canonical_digest(sandbox: Sandbox) -> None:
    one = sandbox.canonical("function run(a) local b = a + 1 return b end")
    assert one == sandbox.canonical("-- about\nfunction run(first)\n  local sum = first + 1\n  return sum\nend\n")
    assert one != sandbox.canonical("function run(a) local b = a + 2 return b end")

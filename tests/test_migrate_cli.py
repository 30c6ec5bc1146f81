"""`ritesmith import --from`, through the real entry: what is written, what is refused, and what is told."""

import json

import pytest

ONE = {
    "name": "Ping",
    "version": "1",
    "failureHandling": {"type": "retry", "maxAttempts": 0, "delayMillis": 0},
    "entrypoint": "ping",
    "nodes": [
        {
            "kind": "task",
            "id": "ping",
            "action": {"mode": "sync", "request": {"url": "https://api.example.com/ping", "verb": "GET"}},
        }
    ],
}
LOSING = {**ONE, "colour": "blue"}


@pytest.fixture
def definition(place):
    def write(value, name="ping.json"):
        (place / name).write_text(value if isinstance(value, str) else json.dumps(value))
        return name

    return write


def made(place):
    return sorted(str(each.relative_to(place)) for each in place.rglob("*") if "imported" in each.name)


def test_it_writes_the_workflow_and_its_capability(cli, place, definition):
    done = cli("import", "--from", "trama", definition(ONE))
    assert done.code == 0, done
    assert made(place) == ["capabilities/imported", "workflows/imported.ping.json"]
    assert (place / "capabilities/imported/ping_get.lua").read_text().startswith("--[=[ capability")
    assert "wrote workflows/imported.ping.json" in done.out
    assert "a run ends after 366 days" in done.words
    assert cli("publish", "capabilities/imported/ping_get.lua").code == 0
    assert cli("publish", "workflows/imported.ping.json").code == 0


def test_what_is_lost_is_told_and_written_only_when_that_is_accepted(cli, place, definition):
    done = cli("import", "--from", "trama", definition(LOSING))
    assert done.code == 5
    assert "$.colour" in done.out
    assert "--accept-loss" in done.err
    assert made(place) == []
    done = cli("import", "--from", "trama", "ping.json", "--accept-loss", "--json")
    assert (done.code, done.json["lost"], len(done.json["written"])) == (0, 1, 2)
    [lost] = [each for each in done.json["report"] if each["severity"] == "lost"]
    message = "nothing here corresponds to this field"
    assert lost == {"at": "$.colour", "severity": "lost", "message": message, "became": ""}


def test_a_file_that_is_there_stays_as_it_is(cli, place, definition):
    (place / "workflows").mkdir(exist_ok=True)
    (place / "workflows/imported.ping.json").write_text("mine")
    done = cli("import", "--from", "trama", definition(ONE))
    assert done.code == 4
    assert "--force" in done.err
    assert not (place / "capabilities/imported").exists()
    assert (place / "workflows/imported.ping.json").read_text() == "mine"
    assert cli("import", "--from", "trama", "ping.json", "--force").code == 0
    assert (place / "workflows/imported.ping.json").read_text() != "mine"


def test_publishing_publishes_all_or_nothing(cli, place, definition):
    done = cli("import", "--from", "trama", definition(ONE), "--publish", "--output", "there", "--name", "shop.ping")
    assert done.code == 0
    assert "published shop.ping@1" in done.out
    assert (place / "there/workflows/shop.ping.json").exists()
    again = cli(
        "import", "--from", "trama", "ping.json", "--publish", "--output", "again", "--name", "shop.ping", "--json"
    )
    assert (again.code, again.json["published"]) == (0, ["shop.ping_get@1", "shop.ping@1"])


def test_what_cannot_be_published_writes_nothing(cli, place, definition):
    cli("import", "--from", "trama", definition(ONE), "--publish", "--output", "first", "--name", "shop.ping")
    other = json.loads(json.dumps(ONE))
    other["nodes"][0]["action"]["request"]["url"] = "https://other.example.com/pong"
    done = cli("import", "--from", "trama", definition(other), "--publish", "--output", "second", "--name", "shop.ping")
    assert done.code == 5, done
    assert "would break" in done.err
    assert not (place / "second").exists()


BAD = {
    "no json": ("{", "this is not JSON"),
    "no object": ("[]", "a definition is an object"),
    "empty": ("{}", "$.name"),
    "twice": ('{"name": "a", "name": "b"}', "stands twice"),
    "deep": ("[" * 60 + "]" * 60, "nested deeper"),
    "large": (json.dumps({"name": "x" * 1_100_000}), "1048576 bytes"),
    "text": ('"x"', "a definition is an object"),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD)
def test_what_is_no_definition_is_refused(cli, place, definition, text, words):
    done = cli("import", "--from", "trama", definition(text))
    assert done.code == 2, done
    assert words in done.err
    assert made(place) == []


def test_options_that_do_not_go_together_are_refused(cli, place, definition):
    name = definition(ONE)
    assert cli("import", name, "--publish").code == 2
    assert cli("import", name, "--from", "trama", "--namespace", "x").code == 2
    assert cli("import", name, "--from", "temporal").code == 2
    assert cli("import", name, "--from", "trama", "--host", "=x").code == 2
    assert cli("import", name, "--from", "trama", "--host", "a b").code == 2
    assert cli("import", name, "--from", "trama", "--name", "No Name").code == 2
    assert cli("import", "none.json", "--from", "trama").code == 3


def test_a_folder_that_cannot_be_written_is_told(cli, place, definition):
    (place / "there").write_text("a file")
    done = cli("import", "--from", "trama", definition(ONE), "--output", "there")
    assert done.code == 2
    assert "there" in done.err


def test_a_machine_is_named_by_its_file_and_runs(cli, place, definition):
    machine = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": {"b": 1}, "End": True}}}
    done = cli("import", "--from", "asl", definition(machine, "say-hello.asl.json"), "--publish")
    assert done.code == 0, done
    ran = cli("run", "imported.say_hello", "--input", "{}", "--json")
    assert (ran.code, ran.json["output"]) == (0, {"b": 1})


def test_a_plan_whose_tools_nobody_has_is_refused_until_that_is_accepted(cli, place, definition):
    plan = {"nodes": [{"id": 0, "tool": "web", "function": "search", "inputs": {"q": "x"}, "depends_on": []}]}
    assert cli("import", "--from", "smith-dag", definition(plan, "find.json")).code == 5
    done = cli("import", "--from", "smith-dag", "find.json", "--accept-loss", "--publish")
    assert done.code == 0, done
    assert "published web.search@1" in done.out
    ran = cli("run", "imported.find", "--input", "{}", "--json")
    assert ran.json["error"]["code"] == "not_implemented"


def test_what_a_person_wrote_for_one_plan_is_used_by_the_next(cli, place, definition):
    plan = {"nodes": [{"id": 0, "tool": "web", "function": "search", "inputs": {"q": "x"}, "depends_on": []}]}
    assert cli("import", "--from", "smith-dag", definition(plan, "one.json"), "--accept-loss").code == 0
    written = place / "capabilities/web/search.lua"
    written.write_text(before := written.read_text().replace("nobody has written yet", "somebody has written"))
    done = cli("import", "--from", "smith-dag", definition(plan, "two.json"), "--accept-loss")
    assert done.code == 4
    assert "publish it, and it is used as it is" in done.err
    assert cli("publish", str(written)).code == 0
    assert cli("import", "--from", "smith-dag", "two.json").code == 0
    assert written.read_text() == before


def test_a_byte_order_mark_before_a_definition_is_passed_over(cli, place, definition):
    assert cli("import", "--from", "trama", definition("\ufeff" + json.dumps(ONE))).code == 0


def test_a_definition_without_from_is_told_how(cli, place, definition):
    done = cli("import", definition(ONE))
    assert done.code == 2
    assert "--from" in done.err

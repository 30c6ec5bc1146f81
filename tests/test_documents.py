"""`ritesmith store put` and `store import`: what a person writes into the store, whole or not at all."""

import json

import pytest
from conftest import fingerprint


def stored(cli, namespace):
    rows = cli("store", "list", namespace, "--json").json["documents"]
    return {row["key"]: (row["value"], row["version"]) for row in rows}


def lines(*documents):
    return "".join(json.dumps(each) + "\n" for each in documents)


def test_a_document_is_put_from_an_argument_a_file_and_stdin(cli, place):
    assert cli("store", "put", "notes", "a", '{"n": 1}').out == "notes/a has version 1\n"
    (place / "two.json").write_text('{"n": 2}')
    assert cli("store", "put", "notes", "a", "@two.json", "--json").json == {
        "namespace": "notes",
        "key": "a",
        "version": 2,
    }
    assert cli("store", "put", "notes", "b", "-", stdin='{"ü": [null, 1.5]}').code == 0
    assert stored(cli, "notes") == {"a": ({"n": 2}, 2), "b": ({"ü": [None, 1.5]}, 1)}


def test_a_version_that_is_named_must_be_there(cli):
    assert cli("store", "put", "notes", "a", "{}", "--if-version", "0").code == 0
    done = cli("store", "put", "notes", "a", '{"n": 1}', "--if-version", "0", "--json")
    assert (done.code, done.json["error"]["code"]) == (4, "conflict")
    assert done.json["error"]["message"] == "document 'notes/a' has version 1, not 0"
    assert cli("store", "put", "notes", "a", '{"n": 1}', "--if-version", "1").code == 0
    assert stored(cli, "notes") == {"a": ({"n": 1}, 2)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Notes", "a", "{}"], "$.namespace"),
        (["../x", "a", "{}"], "$.namespace"),
        (["notes", "", "{}"], "$.key"),
        (["notes", "k" * 201, "{}"], "$.key"),
        (["notes", "a\nb", "{}"], "$.key"),
        (["notes", "a", "[]"], "$.value"),
        (["notes", "a", "1"], "$.value"),
        (["notes", "a", "{"], "the document"),
        (["notes", "a", '{"n": NaN}'], "the document"),
        (["notes", "a", '{"n": 1, "n": 2}'], "the document"),
        (["notes", "a", json.dumps({"t": "x" * 256 * 1024})], "larger than 262144 bytes"),
        (["notes", "a", "{}", "--if-version", "-1"], "--if-version"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_the_store_does_not_take_is_refused_and_changes_nothing(cli, place, words, message):
    before = fingerprint(place / "registry.db")
    done = cli("store", "put", *words)
    assert done.code == 2
    assert message in done.words
    assert fingerprint(place / "registry.db") == before


@pytest.mark.parametrize("form", ["lines", "one line", "object", "object on one line"])
def test_documents_are_imported_from_both_forms(cli, place, form):
    cli("store", "put", "notes", "a", '{"n": 0}')
    world = {"notes": {"a": {"n": 1}, "b": {"n": 2}}, "more": {"x": {}}}
    flat = [{"namespace": n, "key": k, "value": v} for n, documents in world.items() for k, v in documents.items()]
    text = {
        "lines": "\n" + lines(*flat) + "\n",
        "one line": lines(flat[0]),
        "object": json.dumps(world, indent=2),
        "object on one line": json.dumps(world) + "\n",
    }[form]
    (place / "world").write_text(text)
    count = 1 if form == "one line" else 3
    assert cli("store", "import", "world").out == f"{count} documents: {count - 1} added, 1 replaced\n"
    assert stored(cli, "notes")["a"] == ({"n": 1}, 2)
    assert ("b" in stored(cli, "notes")) is (count == 3)


GOOD = {"namespace": "notes", "key": "good", "value": {"n": 1}}


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (lines(GOOD, {"namespace": "notes", "key": "b", "value": []}), 2, "world, line 2: $.value"),
        (lines(GOOD, {"namespace": "No", "key": "b", "value": {}}), 2, "world, line 2: $.namespace"),
        (lines(GOOD, {"namespace": "notes", "key": "b"}), 2, "world, line 2: the field 'value' is missing"),
        (lines(GOOD, GOOD | {"vlaue": 1}), 2, "world, line 2: unknown field 'vlaue'"),
        (lines(GOOD, [1]), 2, "world, line 2: a document is an object"),
        (lines(GOOD) + "{broken", 2, "world, line 2"),
        (lines(GOOD, GOOD | {"if_version": 7}), 4, "world, line 2: document 'notes/good' has version 1, not 7"),
        (lines(GOOD, GOOD | {"value": {"t": "x" * 256 * 1024}}), 2, "world, line 2: the document is larger"),
        (json.dumps({"notes": {"good": {}, "bad": 1}}), 2, "world, 'notes/bad': $.value"),
        (json.dumps({"notes": {"good": {}}, "more": [1]}), 2, "namespace 'more' is no object"),
        ("[]", 2, "neither JSON lines of documents nor an object of namespaces"),
        ("", 2, "world"),
        ("{\n", 2, "world"),
    ],
    ids=lambda value: str(value)[-50:],
)
def test_a_file_with_one_bad_document_is_not_imported_at_all(cli, place, text, code, message):
    (place / "world").write_text(text)
    before = fingerprint(place / "registry.db")
    done = cli("store", "import", "world")
    assert done.code == code
    assert message in done.words
    assert fingerprint(place / "registry.db") == before


def test_an_empty_object_imports_nothing_and_a_file_that_is_not_there_is_told(cli, place):
    (place / "world").write_text("{}")
    assert cli("store", "import", "world", "--json").json == {"documents": 0, "added": 0, "replaced": 0}
    assert cli("store", "import", "wrold").code == 3
    (place / "world").write_bytes(b'{"notes": {"a": {"t": "\xff"}}}')
    assert cli("store", "import", "world").code == 2

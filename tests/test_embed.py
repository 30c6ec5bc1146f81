"""The optional embedder: tokens, vectors in the file, what they add to the search, and no network anywhere."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ritesmith import embed
from ritesmith.db import open_db
from ritesmith.embed.wordpiece import WordPiece, words
from ritesmith.forge.reuse import normalise
from ritesmith.models import Provenance
from ritesmith.registry import Registry
from ritesmith.search import blended, search
from ritesmith.testing import ManualClock
from ritesmith.vectors import Vectors

ROOT = Path(__file__).parent.parent
PIECES = WordPiece(Path(embed.__file__).with_name("vocab.txt"))
extra = pytest.mark.skipif(embed.load() is None, reason="the extra 'embed' is not installed")


# ---------------------------------------------------------------- tokens


def test_texts_become_the_tokens_that_the_model_was_trained_on() -> None:
    # As the reference tokeniser gives them: hello 7592, world 2088, ! 999, embedding = em 7861 ##bed 8270 ##ding 4667.
    assert PIECES.ids("Hello, World!", 128) == [101, 7592, 1010, 2088, 999, 102]
    assert PIECES.ids("embedding", 128) == [101, 7861, 8270, 4667, 102]
    assert PIECES.ids("", 128) == [101, 102]
    assert PIECES.ids("x" * 101, 128) == [101, 100, 102]
    assert len(PIECES.ids("word " * 500, 128)) == 128


def test_words_are_lower_case_without_accents_and_signs_stand_alone() -> None:
    assert words("Naïve\tCAFÉ, don't\0 中文") == ["naive", "cafe", ",", "don", "'", "t", "中", "文"]


# ---------------------------------------------------------------- vectors


class Letters:
    """An embedder of two numbers: how many a and how many b a text has."""

    near: float | None = 0.5
    alike: float | None = 0.9

    def __init__(self, id: str = "letters-1") -> None:
        self.id = id
        self.embedded: list[str] = []

    def embed(self, texts: list[str]) -> Any:
        numpy = pytest.importorskip("numpy")
        self.embedded += texts
        rows = numpy.array([[text.count("a") + 1e-6, text.count("b")] for text in texts], numpy.float32)
        return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with closing(open_db(tmp_path / "registry.db")) as connection:
        registry = Registry(connection, ManualClock().now, normalise)
        for name, intent in (("x.aaa", "aaaa"), ("x.bbb", "bbbb"), ("x.abb", "abab")):
            registry.publish(
                kind="capability",
                name=name,
                text=name,
                canonical=name,
                effect="pure",
                risk="low",
                intent=intent,
                provenance=Provenance(source="person"),
            )
        yield registry


def test_each_phrasing_is_embedded_once_and_kept(registry: Registry) -> None:
    pytest.importorskip("numpy")
    first = Letters()
    near = Vectors(registry.connection, first).nearest("aa")
    assert set(near) == {"x.aaa", "x.abb"}
    assert near["x.aaa"] == pytest.approx(1.0)
    assert near["x.abb"] == pytest.approx(0.7071, abs=1e-3)
    assert sorted(first.embedded) == ["aa", "aaaa", "abab", "bbbb"]
    again = Letters()
    vectors = Vectors(registry.connection, again)
    assert vectors.nearest("aa") == near
    registry.add_alias("x.bbb", "aaab", {"source": "reuse"})
    assert vectors.nearest("aa")["x.bbb"] == pytest.approx(0.9487, abs=1e-3)
    assert again.embedded == ["aa", "aaab", "aa"]


def test_another_embedder_makes_all_vectors_anew_and_has_its_own_thresholds(registry: Registry) -> None:
    pytest.importorskip("numpy")
    Vectors(registry.connection, Letters()).nearest("a")
    other = Letters("letters-2")
    other.near = None
    assert set(Vectors(registry.connection, other).nearest("a")) == {"x.aaa", "x.abb", "x.bbb"}
    assert len(other.embedded) == 4
    models = registry.connection.execute("SELECT DISTINCT model FROM vectors").fetchall()
    assert [row["model"] for row in models] == ["letters-2"]


def test_a_vector_of_another_text_counts_for_nothing(registry: Registry) -> None:
    pytest.importorskip("numpy")
    vectors = Vectors(registry.connection, Letters())
    vectors.nearest("a")
    registry.connection.execute("UPDATE vectors SET text_hash = x'00' WHERE name = 'x.aaa'")
    assert "x.aaa" not in Vectors(registry.connection, Letters()).nearest("a")


def test_what_lies_near_joins_what_words_find(registry: Registry) -> None:
    cosines = {"x.aaa": 0.95, "x.abb": 0.6, "x.gone": 0.99}
    words = search(registry.connection, "bbbb")
    found = blended(registry.connection, words, cosines, 0.9, 10)
    assert [(hit.name, hit.by_words, hit.cosine) for hit in found] == [
        ("x.aaa", True, 0.95),
        ("x.abb", False, 0.6),
        ("x.bbb", True, None),
    ]
    assert [hit.name for hit in blended(registry.connection, words, cosines, 0.9, 1)] == ["x.aaa"]


# ---------------------------------------------------------------- the model itself


def test_searching_touches_no_network(tmp_path: Path) -> None:
    """With the extra or without it: opening a socket, or looking up a name, would end the program."""
    program = """
        import socket, sys
        def refuse(*words, **more):
            raise SystemExit("the network was touched")
        for name in ("connect", "connect_ex", "bind", "sendto"):
            setattr(socket.socket, name, refuse)
        for name in ("getaddrinfo", "create_connection", "gethostbyname"):
            setattr(socket, name, refuse)
        sys.addaudithook(lambda event, words: refuse() if event in ("socket.connect", "socket.getaddrinfo") else None)
        from ritesmith.app import RiteSmith
        with RiteSmith.open(sys.argv[1]) as app:
            print(app.search("average of a list of numbers")[0][0].name)
            print(app.explain("average of a list of numbers")[0].ref)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "registry.db")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["stats.average", "stats.average@1"]


@extra
def test_texts_of_near_meaning_lie_near() -> None:
    model = embed.load()
    assert model is not None
    rows = model.embed(["refund an order", "give the customer their money back", "parse a csv file"])
    cosines = rows @ rows[0]
    assert cosines[0] == pytest.approx(1.0, abs=1e-4)
    assert cosines[1] > cosines[2] + 0.2
    assert model.embed([]).shape == (0, 384)


@extra
def test_other_weights_than_the_measured_ones_are_refused(tmp_path: Path) -> None:
    from ritesmith.errors import StoreError

    (tmp_path / "model.onnx").write_bytes(b"other")
    with pytest.raises(StoreError, match="not the model that was measured"):
        embed.MiniLM(tmp_path / "model.onnx")

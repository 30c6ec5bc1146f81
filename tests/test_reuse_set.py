"""A part of what `benchmarks/reuse.py` measures: known intents in other words, and work that only sounds alike."""

import importlib.util
import sys
from pathlib import Path

import pytest

from ritesmith.app import RiteSmith

FILE = Path(__file__).parent.parent / "benchmarks" / "reuse.py"
EVERY = 4
"""One block in so many is asked; the benchmark asks them all."""


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("reuse_benchmark", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def known(bench):
    return bench.read_set(bench.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def asked(bench, known, tmp_path_factory):
    with RiteSmith.open(str(tmp_path_factory.mktemp("reuse") / "registry.db")) as app:
        bench.publish(app, known)
        return list(bench.questions(app, known[::EVERY], (0, 2, 3)))


def test_the_set_is_whole(known):
    assert len(known) >= 120
    assert len({each.name for each in known}) == len(known)
    for each in known:
        assert len(set(each.phrasings)) == 4, each.name
        assert len(each.examples) == len(each.near.examples) == 3, each.name
        assert each.near.examples != each.examples, each.name


def test_nothing_wrong_is_reused_without_examples(asked):
    assert [each.intent for each in asked if each.wrong and each.examples == 0] == []


def test_hardly_anything_wrong_is_reused_for_what_is_novel(asked):
    novel = [each for each in asked if each.group != "known"]
    assert sum(each.wrong for each in novel) <= 0.02 * len(novel), [each for each in novel if each.wrong]
    assert [each for each in novel if each.wrong and each.group == "near miss" and each.examples == 3] == []


def test_most_of_what_is_known_is_reused_when_three_examples_pass(asked):
    proved = [each for each in asked if each.group == "known" and each.examples == 3]
    assert sum(each.right for each in proved) >= 0.7 * len(proved)
    assert not any(each.wrong for each in proved)


def test_what_is_not_reused_says_why(asked):
    assert all(each.reason for each in asked)

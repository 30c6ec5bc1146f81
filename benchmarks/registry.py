"""Search, publish and open a registry of 1,000, 10,000 and 100,000 artifacts: `python benchmarks/registry.py`.

The artifacts are made from word lists with a fixed seed: verbs, things and qualities by Zipf's law, so that some words
stand in a tenth of all artifacts and others in few. Queries are stored intents said otherwise (words left out, moved,
others put in), and, as the worst case, only words that a great many artifacts share. Beside the times stands how often
the artifact that a query was made from is among the ten found, and how often plain bm25 over every row has it there (it
takes half a second a query at 100,000), so that fast is not bought with wrong: many of these intents are alike.

A search must keep to its target in 95 of 100 cases. Publishing and opening wait for the disk, which this program does
not make faster: there half of the cases must, and beside it stands what a commit of one small row takes alone.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ritesmith import RiteSmith
from ritesmith.contract import capability_of
from ritesmith.db import open_db, transaction
from ritesmith.forge.reuse import normalise
from ritesmith.models import Provenance
from ritesmith.registry import Registry
from ritesmith.search import BM25, STOP_WORDS, schema_words, search, split_words
from ritesmith.signing import Keys

SEED = 20261121
SIZES = (1_000, 10_000, 100_000)
SEARCH_TARGET_MS = {1_000: 5.0, 10_000: 10.0, 100_000: 20.0}
PUBLISH_TARGET_MS = 5.0
OPEN_TARGET_MS = 500.0
QUERIES = 300
COMPARED = 50
PUBLISHED = 200

VERBS = """
convert sum average count sort filter group parse write format validate check refund cancel charge notify send
archive merge split round clamp extract mask trim pad encode decode compare rank score list find match
schedule retry translate allocate reconcile forecast
""".split()  # noqa: SIM905
THINGS = """
order invoice payment customer product price amount date text row email report table address supplier tax
discount shipment parcel phone contact ticket column month week hour timezone currency balance account ledger
budget temperature distance weight length volume speed url path file word sentence paragraph token json xml
csv markdown iban voucher warehouse pallet sensor battery flight hotel booking seat lecture exam patient
dosage recipe ingredient contract clause tenant lease meter tariff passport visa customs pipeline tag commit
branch release incident
""".split()  # noqa: SIM905
QUALITIES = """
valid daily overdue paid first last highest lowest duplicate missing empty recent net gross weekly monthly
unpaid active inactive late early german french european domestic foreign internal external verified pending
quarterly weighted cumulative rolling normalised anonymous encrypted compressed archived provisional
""".split()  # noqa: SIM905
FILLING = "please a the i need to for our with some quickly".split()  # noqa: SIM905


class Words:
    """Intents, by Zipf's law: the n-th word of a list is about n times as rare as its first."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one(self, words: list[str]) -> str:
        return self.random.choices(words, [1 / (place + 1) for place in range(len(words))])[0]

    def intent(self) -> list[str]:
        verb, quality, thing, other = (self.one(each) for each in (VERBS, QUALITIES, THINGS, THINGS))
        shapes = (
            [verb, "the", quality, thing, "by", other],
            [verb, thing, "to", other],
            [quality, thing, "of", "each", other, "and", self.one(VERBS), "it"],
            [verb, "every", thing, "whose", other, "is", quality],
        )
        return self.random.choice(shapes)

    def said_otherwise(self, intent: str) -> str:
        words = intent.split()
        if len(words) > 3:
            words.pop(self.random.randrange(len(words)))
        words.insert(self.random.randrange(len(words)), self.one(FILLING))
        if self.random.random() < 0.3:
            words.append(self.one(QUALITIES))
        return " ".join(words)


def source(name: str, intent: str, field: str) -> str:
    return f"""--[[ capability
{{"name": "{name}", "intent": "{intent}",
 "input": {{"type": "object", "required": ["{field}"], "properties": {{"{field}": {{"type": "number"}}}}}},
 "output": {{"type": "object", "required": ["{field}"], "properties": {{"{field}": {{"type": "number"}}}}}},
 "examples": [{{"input": {{"{field}": 1}}, "output": {{"{field}": 1}}}}]}}
]]
function run(input) return input end
"""


def publish_one(registry: Registry, number: int, words: Words) -> str:
    """Publish one more artifact of these words, and return its intent."""
    said = words.intent()
    intent, thing = " ".join(said), words.one(THINGS)
    name = f"{thing}.{said[0]}_{said[-1]}_{number}"
    text = source(name, intent, words.one(THINGS))
    contract = capability_of(text, name).contract
    registry.publish(
        kind="capability",
        name=name,
        text=text,
        canonical=f"{number:064x}",
        effect="pure",
        risk="low",
        provenance=Provenance(source="person", intent=intent, author="bench"),
        intent=intent,
        aliases=(words.said_otherwise(intent),),
        words=schema_words(contract.input, contract.output),
    )
    return f"{name}\t{intent}"


def timed(call: Callable[[], object]) -> float:
    """Milliseconds that one call took."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3


def share(times: list[float], part: float) -> float:
    return sorted(times)[min(int(len(times) * part), len(times) - 1)]


def row(size: int, what: str, times: list[float], target: float, part: float, more: str = "") -> bool:
    """Print one line of the table; whether such a part of the times is within the target."""
    p50, p95 = share(times, 0.5), share(times, 0.95)
    met = share(times, part) <= target
    told = f"{target:6.0f} at p{part * 100:.0f}  {'yes' if met else 'NO'}"
    print(f"{size:9,}  {what:32} {p50:8.2f} {p95:8.2f} {max(times):8.2f} {told:18} {more}".rstrip(), flush=True)
    return met


def commit_one(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('bench', ?)", (str(time.time()),))


def plain_bm25(connection: sqlite3.Connection, query: str) -> set[str]:
    """The names of the ten best by bm25 over every row that shares a word."""
    words = [word for word in split_words(query).split() if word not in STOP_WORDS]
    rows = connection.execute(
        "SELECT a.name FROM search JOIN artifacts a ON a.digest = search.artifact WHERE search MATCH ?"
        f" ORDER BY {BM25} LIMIT 10",
        (" OR ".join(f'"{word}"' for word in words),),
    )
    return {each["name"] for each in rows}


def measure(size: int, folder: Path) -> bool:
    file = folder / f"{size}.db"
    keys = Keys(folder / "keys")
    with RiteSmith.open(str(file), keys=keys):
        pass  # with the bundled library in it, as every registry
    words, met, stored = Words(SEED), True, []
    with closing(open_db(file)) as connection:
        registry = Registry(connection, time.time, normalise, keys)
        with transaction(connection):
            bulk = timed(lambda: stored.extend(publish_one(registry, each, words) for each in range(size)))
        published = [
            timed(lambda each=each: publish_one(registry, each, words)) for each in range(size, size + PUBLISHED)
        ]
    opened = []
    for _ in range(10):
        started = time.perf_counter()
        with RiteSmith.open(str(file), keys=keys):
            opened.append((time.perf_counter() - started) * 1e3)
    with closing(open_db(file)) as connection:
        queries = []
        for _ in range(QUERIES):
            name, _, intent = words.random.choice(stored).partition("\t")
            queries.append((name, words.said_otherwise(intent)))
        searched, busy, found, plain = [], [], 0, 0
        search(connection, queries[0][1])
        for place, (name, query) in enumerate(queries):
            started, before = time.perf_counter(), time.thread_time()
            hits = search(connection, query)
            searched.append((time.perf_counter() - started) * 1e3)
            busy.append((time.thread_time() - before) * 1e3)
            found += place < COMPARED and name in {hit.name for hit in hits}
        for name, query in queries[:COMPARED]:
            plain += name in plain_bm25(connection, query)
        frequent = [" ".join(words.random.sample(VERBS[:4] + THINGS[:6] + QUALITIES[:3], 4)) for _ in range(QUERIES)]
        common = [timed(lambda query=query: search(connection, query)) for query in frequent]
        alone = [timed(lambda: commit_one(connection)) for _ in range(PUBLISHED)]
    told = f"p95 of CPU {share(busy, 0.95):.2f}; found {found} of {COMPARED}, plain bm25 {plain}"
    met &= row(size, "search, intents said otherwise", searched, SEARCH_TARGET_MS[size], 0.95, told)
    met &= row(size, "search, only frequent words", common, SEARCH_TARGET_MS[size], 0.95)
    told = f"a small commit alone {share(alone, 0.5):.2f}, p95 {share(alone, 0.95):.2f}"
    met &= row(size, "publish", published, PUBLISH_TARGET_MS, 0.5, f"{told}; without it {bulk / size:.2f}")
    met &= row(size, "open", opened, OPEN_TARGET_MS, 0.5)
    return met


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="1,000 and 10,000 artifacts only")
    quick = options.parse_args().quick
    print(f"{'artifacts':>9}  {'milliseconds':32} {'p50':>8} {'p95':>8} {'max':>8} {'target':>6}         met")
    with tempfile.TemporaryDirectory() as folder:
        met = [measure(size, Path(folder)) for size in (SIZES[:2] if quick else SIZES)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())

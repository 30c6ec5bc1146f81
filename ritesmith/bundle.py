"""A bundle: one file that carries an artifact, with all it depends on, from one registry to another.

The first line names the key and its signature of everything beneath, which is JSON. Whoever reads it trusts nothing in
it before the signature holds, and refuses it whole where anything is wrong.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ritesmith.contract import odd_letter, shape_findings
from ritesmith.errors import InvalidInput, Untrusted
from ritesmith.json_text import NotJSON, parse
from ritesmith.models import JSON, NAME_PATTERN, Artifact, ArtifactKind, ArtifactStatus, Provenance, Value
from ritesmith.signing import Keys, statement

FORMAT = "ritesmith-bundle 1"
BUNDLE_BYTES_MAX = 16 * 1024 * 1024
ARTIFACTS_MAX = 200
TEXT_LENGTH_MAX = 1024 * 1024
ALIASES_MAX, ALIAS_LENGTH_MAX = 200, 2000
TAGS_MAX = 100
FIRST_LINE = re.compile(rb"ritesmith-bundle 1 ([0-9a-f]{64}) ([0-9a-f]{128})")

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Packed(Value):
    """One artifact in a bundle."""

    digest: Digest
    kind: ArtifactKind
    name: str = Field(pattern=NAME_PATTERN, max_length=100)
    version: int = Field(ge=1, le=1_000_000_000)
    status: ArtifactStatus
    text: str = Field(max_length=TEXT_LENGTH_MAX)
    provenance: str = Field(max_length=TEXT_LENGTH_MAX)
    """As JSON text, letter by letter as it was signed."""
    signature: str = Field(pattern="^[0-9a-f]{128}$")
    """By the key of the bundle; it stays with the artifact."""
    aliases: tuple[Annotated[str, Field(max_length=ALIAS_LENGTH_MAX)], ...] = Field(default=(), max_length=ALIASES_MAX)
    tags: tuple[Annotated[str, Field(pattern="^[a-z][a-z0-9._-]{0,39}$")], ...] = Field(default=(), max_length=TAGS_MAX)

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


class Bundle(Value):
    """What a bundle file says, once its signature holds."""

    root: Digest
    """The artifact that was asked for; all others are there for it."""
    made_at: float
    """Seconds since 1970, UTC."""
    artifacts: tuple[Packed, ...] = Field(min_length=1, max_length=ARTIFACTS_MAX)


def seal(bundle: Bundle, keys: Keys) -> bytes:
    """A bundle as a file's content, signed."""
    body = json.dumps(bundle.model_dump(mode="json"), indent=1, ensure_ascii=False, sort_keys=True)
    return signed(f"{body}\n".encode(), keys)


def signed(body: bytes, keys: Keys) -> bytes:
    """A file's content: a body, beneath the line with its signature."""
    key, signature = keys.sign(_statement(body))
    return f"{FORMAT} {key} {signature.hex()}\n".encode() + body


def unseal(data: bytes, keys: Keys, what: str) -> tuple[Bundle, str]:
    """The bundle in a file's content, with each part there and in its place, and the key that signed it.

    Parts come before what is made of them. Raises InvalidInput with what is wrong, Untrusted when it is signed by a
    key that is not trusted, or differs from what was signed by as much as a byte.
    """
    if len(data) > BUNDLE_BYTES_MAX:
        raise InvalidInput(f"{what} has more than {BUNDLE_BYTES_MAX} bytes, which is the most that a bundle has")
    line, _, body = data.partition(b"\n")
    first = FIRST_LINE.fullmatch(line)
    if first is None:
        raise InvalidInput(
            f"{what} is no bundle: its first line is not '{FORMAT} KEY SIGNATURE'",
            hint="a definition of another engine is imported with --from",
        )
    key = first[1].decode()
    try:
        keys.check(what, _statement(body), key, bytes.fromhex(first[2].decode()))
    except Untrusted as error:
        if "key" in error.facts:
            raise
        hint = "it was changed on its way; get it again"
        raise Untrusted(f"{what} is not what the key {key[:12]} signed: it differs", hint=hint) from None
    bundle = _read(body, what)
    return bundle.model_copy(update={"artifacts": tuple(_in_order(bundle, what))}), key


def _statement(body: bytes) -> bytes:
    return statement("bundle 1", sha256=hashlib.sha256(body).hexdigest())


def _read(body: bytes, what: str) -> Bundle:
    try:
        value = parse(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{what} is not UTF-8 text: byte {error.start} of its second line") from None
    except NotJSON as error:
        raise InvalidInput(f"{what}: {error}") from None
    for name in _names(value):
        odd = odd_letter(name)
        if odd:
            raise InvalidInput(f"{what} names an artifact {name!r}: {odd}", hint="a name has only a to z, 0 to 9, _ .")
    bundle = bundle_of(value, what)
    for each in bundle.artifacts:
        if hashlib.sha256(each.text.encode()).hexdigest() != each.digest:
            raise InvalidInput(f"{what}: the text of '{each.ref}' has another digest than it says")
    return bundle


def bundle_of(value: JSON, what: str) -> Bundle:
    """A bundle from plain JSON; InvalidInput with the first thing that is wrong with it."""
    try:
        return Bundle.model_validate(value)
    except ValidationError as error:
        wrong = shape_findings(error, Bundle.model_fields, code="bundle_shape")[0]
        raise InvalidInput(f"{what}: {wrong.where.path} {wrong.message}", hint=wrong.hint) from None


def _names(value: Any) -> list[str]:
    artifacts = value.get("artifacts") if isinstance(value, dict) else None
    if not isinstance(artifacts, list):
        return []
    names = (each.get("name") for each in artifacts if isinstance(each, dict))
    return [name for name in names if isinstance(name, str)]


def _in_order(bundle: Bundle, what: str) -> list[Packed]:
    """All of it, parts before what is made of them; InvalidInput where a part is missing, or is there for nothing."""
    known = {each.digest: each for each in bundle.artifacts}
    if len(known) < len(bundle.artifacts) or len({each.ref for each in bundle.artifacts}) < len(bundle.artifacts):
        raise InvalidInput(f"{what} holds an artifact twice")
    if bundle.root not in known:
        raise InvalidInput(f"{what} lacks the artifact that it was made for, {bundle.root[:12]}")
    ordered: dict[str, Packed] = {}
    under_way: list[str] = []

    def visit(digest: str) -> None:
        if digest in ordered:
            return
        packed = known[digest]
        if digest in under_way:
            raise InvalidInput(f"{what}: '{packed.ref}' is a part of itself")
        under_way.append(digest)
        for ref, part in provenance_of(packed).pins.items():
            if part not in known:
                raise InvalidInput(
                    f"{what} lacks '{ref}' ({part[:12]}), of which '{packed.ref}' is made", hint="export it again"
                )
            visit(part)
        under_way.pop()
        ordered[digest] = packed

    visit(bundle.root)
    idle = [each.ref for each in bundle.artifacts if each.digest not in ordered]
    if idle:
        raise InvalidInput(f"{what} holds '{idle[0]}', which '{known[bundle.root].ref}' does not need")
    return list(ordered.values())


def provenance_of(packed: Packed) -> Provenance:
    """What a packed artifact says of where it comes from; InvalidInput where that cannot be read."""
    try:
        return Provenance.model_validate_json(packed.provenance)
    except ValidationError as error:
        wrong = shape_findings(error, Provenance.model_fields, code="bundle_shape")[0]
        raise InvalidInput(f"the provenance of '{packed.ref}' cannot be read: {wrong.message}") from None


def order_of(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Artifacts by name and version: the same registry gives the same bundle, but for its time."""
    return sorted(artifacts, key=lambda each: (each.name, each.version))

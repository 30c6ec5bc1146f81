"""Tokens for callbacks: whoever holds one may answer one wait of one run, until it expires.

HMAC-SHA256 (RFC 2104) over run, node path, attempt and expiry. A node that is visited again has a path of its own, and
one that a person has tried again another attempt, so that an answer to one cannot be taken for the next.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from ritesmith.errors import Conflict, InvalidInput


def token(key: bytes, run: str, node: str, attempt: int, expires_at: float) -> str:
    """A token of letters, digits, `-`, `_` and one dot; it stands in a URL as it is."""
    said = json.dumps([run, node, attempt, expires_at]).encode()
    return f"{_text(said)}.{_text(_mac(key, said))}"


def read(key: bytes, given: str, now: float) -> tuple[str, str, int]:
    """The run, the node path and the attempt of a token.

    InvalidInput when it was not made with this key, Conflict when its time is over.
    """
    said, _, mac = given.partition(".")
    try:
        text, proof = _bytes(said), _bytes(mac)
    except ValueError:
        text, proof = b"", b""
    if not hmac.compare_digest(proof, _mac(key, text)):
        raise InvalidInput("the token is not one that this registry gave", hint="ask for another: ritesmith token RUN")
    run, node, attempt, expires_at = json.loads(text)
    if now >= expires_at:
        raise Conflict(f"the token for '{node}' of run '{run}' has expired", hint=f"another: ritesmith token {run}")
    return run, node, attempt


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, hashlib.sha256)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

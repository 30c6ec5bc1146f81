"""Decides whether what is already published answers an intent. Words propose; contract and examples decide."""

from __future__ import annotations

from typing import Any

from ritesmith.models import Effect, Value


class Request(Value):
    """What is asked for: in words, by examples, and with which leave."""

    intent: str
    examples: tuple[dict[str, Any], ...] = ()
    """The caller's examples as given: input, and output or error."""
    effect: Effect = "write"
    """The widest effect that the result may have."""
    name: str | None = None
    """The name that the result must bear."""

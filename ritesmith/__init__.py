"""RiteSmith: decide once, define, then execute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith
    from ritesmith.errors import RiteSmithError

__version__ = "0.1.0"
__all__ = ["RiteSmith", "RiteSmithError", "__version__"]


def __getattr__(name: str) -> Any:
    # On demand, so that `ritesmith --help` need not import pydantic and the rest.
    if name == "RiteSmith":
        from ritesmith.app import RiteSmith

        return RiteSmith
    if name == "RiteSmithError":
        from ritesmith.errors import RiteSmithError

        return RiteSmithError
    raise AttributeError(f"module 'ritesmith' has no attribute {name!r}")

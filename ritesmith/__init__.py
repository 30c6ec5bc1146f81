"""RiteSmith: decide once, define, then execute."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ritesmith.app import Published, RiteSmith
    from ritesmith.checking import Checked
    from ritesmith.dry_run import DryRun
    from ritesmith.errors import (
        Conflict,
        ForgeError,
        InvalidInput,
        NotFound,
        Rejected,
        RiteSmithError,
        SagaError,
        SandboxError,
        StoreError,
    )
    from ritesmith.files import Formatted
    from ritesmith.forging import ForgeReport
    from ritesmith.models import (
        Artifact,
        Capability,
        CapabilityExample,
        Contract,
        Finding,
        HostFunction,
        Outcome,
        Workflow,
        WorkflowExample,
    )
    from ritesmith.replay import Replay
    from ritesmith.syncing import SyncReport
    from ritesmith.trace import RunView
    from ritesmith.workbench import FuelReport, Tested

__version__ = "0.1.0"
__all__ = [
    "Artifact",
    "Capability",
    "CapabilityExample",
    "Checked",
    "Conflict",
    "Contract",
    "DryRun",
    "Finding",
    "ForgeError",
    "ForgeReport",
    "Formatted",
    "FuelReport",
    "HostFunction",
    "InvalidInput",
    "NotFound",
    "Outcome",
    "Published",
    "Rejected",
    "Replay",
    "RiteSmith",
    "RiteSmithError",
    "RunView",
    "SagaError",
    "SandboxError",
    "StoreError",
    "SyncReport",
    "Tested",
    "Workflow",
    "WorkflowExample",
    "__version__",
]
_PLACES = {
    "app": ("Published", "RiteSmith"),
    "checking": ("Checked",),
    "dry_run": ("DryRun",),
    "errors": (
        *("Conflict", "ForgeError", "InvalidInput", "NotFound", "Rejected"),
        *("RiteSmithError", "SagaError", "SandboxError", "StoreError"),
    ),
    "files": ("Formatted",),
    "forging": ("ForgeReport",),
    "models": (
        *("Artifact", "Capability", "CapabilityExample", "Contract", "Finding"),
        *("HostFunction", "Outcome", "Workflow", "WorkflowExample"),
    ),
    "replay": ("Replay",),
    "syncing": ("SyncReport",),
    "trace": ("RunView",),
    "workbench": ("FuelReport", "Tested"),
}


def __getattr__(name: str) -> Any:
    # On demand, so that `ritesmith --help` need not import pydantic and the rest.
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"ritesmith.{module}"), name)
    raise AttributeError(f"module 'ritesmith' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""Every error that RiteSmith raises, as one tree; each class carries its stable code, exit code and HTTP status.

RiteSmithError
|- InvalidInput        2 / 400   the caller's value is wrong; nothing was written
|- NotFound            3 / 404   no such artifact, run or file
|- Conflict            4 / 409   version taken, decision already made, run driven by another process
|- Rejected            5 / 422   the guard or the policy said no; carries findings
|- Untrusted           5 / 422   not signed, signed by a key that is not trusted, or not what was signed
|- ForgeError          6 / 502
|  |- ModelUnavailable           no server configured, or it did not answer
|  `- ForgeExhausted             nothing acceptable was found; carries what is missing
|- SandboxError        7 / 500
|  `- SandboxUnavailable         no worker can be started
|- SagaError           8 / 500   a run ended badly
|  `- JournalMismatch            the journal was edited, or the code under it changed
`- StoreError          9 / 503   the registry file is locked, unreadable or newer than this program

What a script does wrong is not an exception here: the sandbox answers with an `Outcome`, a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class RiteSmithError(Exception):
    """Base of all. `message` says which thing, and what was found; `hint` says what to do."""

    code = "error"
    exit_code = 1
    http_status = 500

    def __init__(self, message: str, *, hint: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts
        if hint:
            self.add_note(f"Hint: {hint}")  # which a traceback shows

    def as_dict(self) -> dict[str, Any]:
        """The error as one JSON object, for `--json` and other faces."""
        shown: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.hint:
            shown["hint"] = self.hint
        return shown | self.facts


class InvalidInput(RiteSmithError):
    """The caller's value is wrong; nothing was written."""

    code, exit_code, http_status = "invalid_input", 2, 400


class NotFound(RiteSmithError):
    """No artifact, run, node or file of that name."""

    code, exit_code, http_status = "not_found", 3, 404


class Conflict(RiteSmithError):
    """The thing is not in a state that allows this: decided already, finished, or in another process's hands."""

    code, exit_code, http_status = "conflict", 4, 409


class Rejected(RiteSmithError):
    """The guard or the policy said no. `findings` holds every finding as a dict."""

    code, exit_code, http_status = "rejected", 5, 422

    def __init__(self, message: str, *, findings: Sequence[Any] = (), hint: str = "", **facts: Any) -> None:
        shown = [finding if isinstance(finding, dict) else finding.model_dump(mode="json") for finding in findings]
        super().__init__(message, hint=hint, findings=shown, **facts)
        self.findings = tuple(findings)


class Untrusted(RiteSmithError):
    """Nobody whom the user trusts vouches for it as it stands: unsigned, by another key, or edited since."""

    code, exit_code, http_status = "untrusted", 5, 422


class ForgeError(RiteSmithError):
    """The forge could not turn the intent into something accepted; nothing was published."""

    code, exit_code, http_status = "forge_error", 6, 502


class ModelUnavailable(ForgeError):
    """No model server is configured, or it did not answer as one."""

    code = "model_unavailable"


class ForgeExhausted(ForgeError):
    """Every tier was tried. `facts` hold the report: tiers, candidates, findings, spend."""

    code = "forge_exhausted"


class SandboxError(RiteSmithError):
    """The sandbox itself, not the script in it, failed."""

    code, exit_code, http_status = "sandbox_error", 7, 500


class SandboxUnavailable(SandboxError):
    """No worker process can be started."""

    code = "sandbox_unavailable"


class SagaError(RiteSmithError):
    """A run ended badly, or cannot go on."""

    code, exit_code, http_status = "saga_error", 8, 500


class JournalMismatch(SagaError):
    """The journal and what re-execution does differ: an edited journal, or other code under the same run."""

    code = "journal_mismatch"


class StoreError(RiteSmithError):
    """The registry file cannot be used: locked, unreadable, not ours, or newer than this program."""

    code, exit_code, http_status = "store_error", 9, 503

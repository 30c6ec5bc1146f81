"""`notify.webhook`: tell another system that something happened, by one POST."""

from __future__ import annotations

from typing import Any

from ritesmith.hosts import http
from ritesmith.hosts.base import HostEnvironment, host_function
from ritesmith.models import JSON


@host_function(
    "notify.webhook",
    "Send a JSON object to a webhook; a status other than 2xx is an error. Many hooks hide a secret in their path.",
    input={
        "type": "object",
        "required": ["url", "json"],
        "properties": {
            "url": {**http.COMMON["url"], "examples": ["https://hooks.example.com/services"]},
            "json": {"type": "object", "description": "the message", "examples": [{"text": "Done"}]},
            "path": {**http.SECRET, "description": "what follows in the URL's path, where that is a secret"},
            "headers": http.COMMON["headers"],
            "auth": http.COMMON["auth"],
            **http.IDEMPOTENT,
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["status"],
        "properties": {"status": http.OK_STATUS},
        "additionalProperties": False,
    },
    effect="write",
    idempotent=False,
    outside=True,
    narrows={"hosts": {**http.HOSTS, "examples": [["hooks.example.com"]]}, "secrets": http.SECRETS},
    repeatable={"idempotent": (True,)},
    errors=(*http.ERRORS, "http_status"),
)
def webhook(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    return {"status": http.accepted("notify.webhook", args, environment, method="POST").status}

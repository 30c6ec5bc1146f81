"""Every setting of RiteSmith as one table: what it means, and where it can be set. Data, and texts made from it.

A value is taken from a flag, else from the environment, else from `ritesmith.toml` beside the registry file, else it is
the default. What the file may say is checked by the models in `settings.py`, whose fields are compared with this table
by a test. Only the standard library is imported, so that every start can look whether a variable is known.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

PREFIX = "RITESMITH_"
SECRET_PREFIX = "RITESMITH_SECRET_"
"""A variable that begins so holds the secret named by the rest."""


class Setting(NamedTuple):
    """One setting."""

    name: str
    """As it is called in `config show`, and for one of the file its place there; a part in capitals is a name of your
    own."""
    about: str
    default: str = ""
    """In words, or as TOML; empty where there is none and the setting must be said, or means nothing."""
    flag: str = ""
    variables: tuple[str, ...] = ()
    """Environment variables, the first that is set counts."""
    file: bool = True
    """Whether it can stand in `ritesmith.toml`."""
    example: str = ""
    """As TOML: what the commented file shows where the default says too little."""
    secret: bool = False
    """Never shown."""


SETTINGS = (
    Setting(
        "registry",
        "the registry file; the project's own files lie beside it",
        "the nearest registry.db upward, else ./registry.db",
        flag="--db",
        variables=("RITESMITH_DB",),
        file=False,
    ),
    Setting(
        "keys",
        "the folder of your signing key and of the keys that you trust",
        "~/.config/ritesmith",
        variables=("RITESMITH_CONFIG",),
        file=False,
    ),
    Setting("debug", "show where a defect arose", "off", variables=("RITESMITH_DEBUG",), file=False),
    Setting(
        "model.key",
        "the key of the model server that the forge asks; a local server may need none",
        variables=("OPENAI_API_KEY",),
        file=False,
        secret=True,
    ),
    Setting(
        "model.base_url",
        "the model server that the forge asks",
        "OpenAI, if there is a key",
        variables=("RITESMITH_LLM_BASE_URL", "OPENAI_BASE_URL"),
        file=False,
    ),
    Setting("model.name", "the model", "gpt-5-mini", variables=("RITESMITH_LLM_MODEL",), file=False),
    # What host functions may reach, and how.
    Setting(
        "http.networks", "addresses that are not public, to be reached all the same", "[]", example='["10.1.0.0/16"]'
    ),
    Setting("http.ports", "ports that may be reached", "[443]"),
    Setting("http.plain", "hosts that may be spoken to without TLS", "[]", example='["metrics.internal"]'),
    Setting("http.connect_seconds", "longest time to connect", "10.0"),
    Setting("http.read_seconds", "longest silence of a server", "30.0"),
    Setting("http.total_seconds", "longest time of one call, redirects included", "60.0"),
    Setting("http.bytes_max", "the most that is taken of an answer, decompressed", "1048576"),
    Setting("email.host", "the SMTP server that email.send speaks to", example='"mail.example.com"'),
    Setting("email.port", "its port", "587"),
    Setting("email.security", '"starttls", "tls", or "none" without a password', '"starttls"'),
    Setting("email.sender", "whom messages are from", example='"RiteSmith <robot@example.com>"'),
    Setting("email.user", "who logs in", example='"robot"'),
    Setting("email.password", "the name of the secret that is the password", example='"MAIL"'),
    Setting("email.certificates", "a PEM file of authorities to trust instead of the system's", example='"mail.pem"'),
    Setting("email.seconds", "longest time of one step of the conversation", "30.0"),
    Setting("sql.NAME.url", "a database that sql.query may read", example='"sqlite:sales.db"'),
    Setting("sql.NAME.password", "the name of the secret that is the password", example='"SALES"'),
    Setting("sql.NAME.seconds", "longest time of one question", "10.0"),
    Setting("sql.NAME.rows_max", "the most rows of an answer", "1000"),
    Setting("files.NAME.path", "a folder that file.read may use", example='"reports"'),
    Setting("files.NAME.write", "whether file.write may use it too", "false"),
    Setting("files.NAME.bytes_max", "the largest file", "1048576"),
    Setting("llm.base_url", "the model server that llm.complete asks", "OpenAI", example='"http://localhost:8080/v1"'),
    Setting("llm.model", "its model", example='"tiny"'),
    Setting("llm.key", "the name of the secret that is its key", example='"MODEL"'),
    Setting("llm.tokens_per_run", "the most tokens of a run and all that it calls", "20000"),
    Setting("llm.cost_per_run", "the most that a run may cost; it needs both prices", example="0.50"),
    Setting("llm.price_in", "price of a million tokens sent", example="0.25"),
    Setting("llm.price_out", "price of a million tokens received", example="2.00"),
    Setting("llm.seconds", "longest time of one answer", "60.0"),
    Setting(
        "forge.base_url",
        "the model server that the forge asks; RITESMITH_LLM_BASE_URL replaces it, with all models of [forge]",
        "OpenAI",
        example='"https://models.example.com/v1"',
    ),
    Setting("forge.key", "the name of the secret that is its key", example='"MODEL"'),
    Setting("forge.model", "the model", example='"large"'),
    Setting("forge.second_model", "a cheaper one, which is asked for repairs but for the last", example='"small"'),
    Setting("forge.answer_tokens", "the most tokens of one answer", "8192"),
    Setting("forge.silence_seconds", "longest silence of the server", "120.0"),
    Setting("forge.answer_seconds", "longest time of one answer, its repeats included", "600.0"),
    Setting("forge.retries", "repeats of a request that met a transient error", "2"),
    Setting("forge.fallback.NAME.model", "a model that is asked where one is not available", example='"other"'),
    Setting("forge.fallback.NAME.base_url", "its server", "that of [forge]", example='"http://localhost:8080/v1"'),
    Setting("forge.fallback.NAME.key", "the name of the secret that is the key there", example='"LOCAL"'),
    Setting("forge.prices.MODEL.price_in", "price of a million tokens sent", example="1.25"),
    Setting(
        "forge.prices.MODEL.price_cached", "of those that the server had in its cache", "price_in", example="0.125"
    ),
    Setting("forge.prices.MODEL.price_out", "price of a million tokens received", example="10.0"),
    Setting("mcp.NAME.command", "what starts a server that speaks over stdin and stdout", example='["notes-server"]'),
    Setting("mcp.NAME.url", "where a server is that speaks HTTP, instead of a command"),
    Setting(
        "mcp.NAME.secrets",
        "environment variable, or header for a url, and the name of the secret that it is given",
        "{}",
        example='{ NOTES_TOKEN = "NOTES" }',
    ),
    Setting("mcp.NAME.seconds", "longest time of one call, the start of the server included", "30.0"),
    Setting("mcp.NAME.bytes_max", "the most that is taken of an answer", "262144"),
    Setting("mcp.NAME.tools.TOOL.effect", 'your word on a tool: "pure", "read" or "write"', '"write"'),
    Setting("mcp.NAME.tools.TOOL.idempotent", "whether it may be repeated", "false"),
)
TABLES = {
    "http": "beyond public hosts by https on port 443",
    "email": "for email.send",
    "sql.NAME": "for sql.query, once for each database",
    "files.NAME": "for file.read and file.write, once for each folder",
    "llm": "for llm.complete",
    "forge": "for ritesmith forge",
    "forge.fallback.NAME": "in the order in which they are asked; never because of what a model wrote",
    "forge.prices.MODEL": "once for each model; without them a cost is unknown",
    "mcp.NAME": "for the tools of MCP servers, once for each server",
    "mcp.NAME.tools.TOOL": "once for each tool",
}
"""The tables of the file, in its order, and what each is for."""
EXAMPLE_NAMES = {"sql.NAME": "sql.sales", "files.NAME": "files.reports", "mcp.NAME": "mcp.notes"} | {
    "forge.fallback.NAME": "forge.fallback.local",
    "forge.prices.MODEL": "forge.prices.large",
    "mcp.NAME.tools.TOOL": "mcp.notes.tools.find",
}
VARIABLES = frozenset(name for each in SETTINGS for name in each.variables)
HEAD = """\
# The settings of this project. What stands behind a '#' is not in force: take the '#' away to set it.
# A value is taken from a flag, else from the environment, else from here, else it is the default.
# `ritesmith config show --origin` shows what holds, and where it comes from.
#
# Secrets do not stand here, only their names. A secret MAIL is the variable RITESMITH_SECRET_MAIL, or a line
# MAIL = "..." of secrets.toml beside this file, with mode 600.
"""


def table_of(setting: Setting) -> str:
    """The table of the file in which a setting stands."""
    return setting.name.rpartition(".")[0]


def commented_file() -> str:
    """`ritesmith.toml` with every setting, each with its default or an example, and none of them in force."""
    lines = [HEAD]
    for table, about in TABLES.items():
        lines.append(f"\n# {about}\n#[{EXAMPLE_NAMES.get(table, table)}]")
        rows = [each for each in SETTINGS if each.file and table_of(each) == table]
        for each in rows:
            value = each.example or each.default
            if value:
                # What is shown is the default, but for what has none or says nothing.
                other = f" (default: {each.default})" if each.example and each.default else ""
                line = f"#{each.name.rpartition('.')[2]} = {value}"
                lines.append(f"{line:<42} # {each.about}{other}")
    return "\n".join(lines) + "\n"


def unknown_variables(environment: Iterable[str]) -> list[tuple[str, str | None]]:
    """Variables that look like settings of ours and are none, each with the one that was probably meant."""
    odd = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and not name.startswith(SECRET_PREFIX) and name not in VARIABLES:
            near = difflib.get_close_matches(name, sorted(VARIABLES), n=1, cutoff=0.75)
            odd.append((name, near[0] if near else None))
    return odd


def without_credentials(url: str) -> str:
    """A URL without what stands before the @ of its host, and without its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    if "@" not in parts.netloc and not parts.query:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def origin_of(setting: Setting, environment: Mapping[str, str]) -> str | None:
    """The variable that sets it now, if one does."""
    return next((name for name in setting.variables if environment.get(name)), None)

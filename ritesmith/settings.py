"""What a project sets in `ritesmith.toml`, beside its registry file: what host functions may reach, and how.

Nothing is reached that does not stand there, except public HTTPS hosts that a grant names.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from ritesmith.models import Value
from ritesmith.toml_file import read_toml

FILE = "ritesmith.toml"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
SecretName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,62}$")]
# Strict: TOML tells true from 1 and "443" from 443, and so do we.
Count = Annotated[int, Field(strict=True, ge=1)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=3600)]
Price = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]


def _one_line(text: str) -> str:
    # A header ends where its line does, in any alphabet.
    if not text.strip() or re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", text):
        raise ValueError("it must be one line of text, and not empty")
    return text


def _host_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:\[\]-]+", text):
        raise ValueError(f"{text!r} is no host name")
    return text


Line = Annotated[str, AfterValidator(_one_line)]
Host = Annotated[str, AfterValidator(_host_name)]
CREDENTIALS = frozenset(
    {"password", "passwd", "pwd", "sslpassword", "passphrase", "token", "access_token", "auth_token", "secret"}
    | {"client_secret", "key", "api_key", "apikey", "api-key", "access_key"}
)
"""Names of URL parameters whose values are no settings, but secrets."""
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class HttpSettings(Value):
    """`[http]`: beyond public hosts by https on port 443."""

    networks: tuple[str, ...] = ()
    """Addresses that are not public and may be reached all the same, such as "10.1.0.0/16"."""
    ports: tuple[Port, ...] = (443,)
    plain: tuple[Host, ...] = ()
    """Hosts that may be spoken to without TLS."""
    connect_seconds: Seconds = 10.0
    read_seconds: Seconds = 30.0
    total_seconds: Seconds = 60.0
    bytes_max: Count = 1024 * 1024
    """The most that is taken of an answer, after decompression."""

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for each in networks:
            ip_network(each)
        return networks


class EmailSettings(Value):
    """`[email]`: the SMTP server that `email.send` speaks to."""

    host: Host
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: Line
    user: Line | None = None
    password: SecretName | None = None
    """The name of a secret."""
    certificates: str | None = None
    """A PEM file with the authorities to trust instead of the system's, for a server with a certificate of its own."""
    seconds: Seconds = 30.0

    @model_validator(mode="after")
    def _logs_in_with_both(self) -> EmailSettings:
        if (self.user is None) != (self.password is None):
            raise ValueError("a login has both 'user' and 'password'")
        return self


class SqlSettings(Value):
    """`[sql.NAME]`: a database that `sql.query` may read."""

    url: str
    """`sqlite:PATH` or `postgresql://user@host/database`."""
    password: SecretName | None = None
    seconds: Seconds = 10.0
    rows_max: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1000

    @field_validator("url")
    @classmethod
    def _is_a_database(cls, url: str) -> str:
        scheme, _, rest = url.partition(":")
        if scheme not in ("sqlite", "postgresql", "postgres") or not rest:
            raise ValueError("a database is sqlite:PATH or postgresql://USER@HOST/NAME")
        if scheme != "sqlite" and (urlsplit(url).password is not None or _credentials_in(url)):
            raise ValueError("a password does not stand in the settings: name a secret in 'password'")
        return url


class FileRoot(Value):
    """`[files.NAME]`: a folder that `file.read`, and with `write` also `file.write`, may use."""

    path: str = Field(pattern=r"^[^\x00]+$")
    write: Flag = False
    bytes_max: Count = 1024 * 1024


class LlmSettings(Value):
    """`[llm]`: the model server that `llm.complete` speaks to, and the most that one run may spend there."""

    base_url: str | None = None
    model: Line
    key: SecretName | None = None
    tokens_per_run: Count = 20_000
    cost_per_run: float | None = Field(default=None, strict=True, gt=0, allow_inf_nan=False)
    price_in: Price | None = None
    """For a million tokens, in the currency of `cost_per_run`."""
    price_out: Price | None = None
    seconds: Seconds = 60.0

    @property
    def has_prices(self) -> bool:
        return self.price_in is not None and self.price_out is not None

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost; 0 where no price is set."""
        return (tokens_in * (self.price_in or 0.0) + tokens_out * (self.price_out or 0.0)) / 1_000_000

    @field_validator("base_url")
    @classmethod
    def _is_a_server(cls, url: str | None) -> str | None:
        if url is not None:
            _check_url(url, "a model server", "http://localhost:8080/v1", "key")
        return url

    @model_validator(mode="after")
    def _can_count(self) -> LlmSettings:
        if self.cost_per_run is not None and not self.has_prices:
            raise ValueError("with 'cost_per_run' both 'price_in' and 'price_out' must be said")
        return self


class ModelPrice(Value):
    """`[forge.prices."MODEL"]`: what a million tokens cost, in one currency for all models."""

    price_in: Price
    price_cached: Price | None = None
    """Of what the server had in its cache; left out, the same as `price_in`."""
    price_out: Price

    def cost(self, tokens_in: int, tokens_cached: int, tokens_out: int) -> float:
        """What so many tokens cost; those that were cached are among those that went in."""
        cached = self.price_in if self.price_cached is None else self.price_cached
        new = max(tokens_in - tokens_cached, 0)
        return (new * self.price_in + tokens_cached * cached + tokens_out * self.price_out) / 1_000_000


class FallbackModel(Value):
    """`[forge.fallback.NAME]`: a model that is asked where another one is not available."""

    model: str
    base_url: str | None = None
    """Left out, the server of the first model, with its key."""
    key: SecretName | None = None

    @field_validator("base_url")
    @classmethod
    def _is_a_server(cls, url: str | None) -> str | None:
        if url is not None:
            _check_url(url, "a model server", "http://localhost:8080/v1", "key")
        return url

    @model_validator(mode="after")
    def _key_belongs_to_a_server(self) -> Self:
        if self.key is not None and self.base_url is None:
            raise ValueError("a 'key' belongs to a server: say 'base_url' too")
        return self


class ForgeSettings(Value):
    """`[forge]`: the models that write what is missing, and what they cost."""

    base_url: str | None = None
    key: SecretName | None = None
    model: str | None = None
    second_model: str | None = None
    """A cheaper one of the same server, for repairs."""
    answer_tokens: int = Field(default=8_192, ge=1)
    silence_seconds: Seconds = 120.0
    """Longest silence of the server: to connect, and between two pieces of an answer."""
    answer_seconds: Seconds = 600.0
    retries: int = Field(default=2, ge=0, le=10)
    """Of a request that met a transient error before any of the answer came."""
    fallback: dict[Name, FallbackModel] = Field(default={})
    """In the order in which they are asked."""
    prices: dict[str, ModelPrice] = Field(default={})
    """Model, as it is asked for -> its price. What is not listed costs an unknown amount."""

    @field_validator("base_url")
    @classmethod
    def _is_a_server(cls, url: str | None) -> str | None:
        if url is not None:
            _check_url(url, "a model server", "http://localhost:8080/v1", "key")
        return url


class McpTool(Value):
    """`[mcp.NAME.tools.TOOL]`: a person's word on one tool."""

    effect: Literal["pure", "read", "write"] = "write"
    idempotent: Flag = False


class McpSettings(Value):
    """`[mcp.NAME]`: an MCP server, whose tools are host functions `mcp.NAME.TOOL`."""

    command: tuple[str, ...] = ()
    """What starts it, for a server that speaks over stdin and stdout."""
    url: str | None = None
    """Where it is, for one that speaks HTTP."""
    secrets: dict[str, SecretName] = Field(default={})
    """Environment variable, or header for a server that speaks HTTP -> name of a secret."""
    seconds: Seconds = 30.0
    bytes_max: Count = 256 * 1024
    tools: dict[Name, McpTool] = Field(default={})

    @field_validator("url")
    @classmethod
    def _is_a_server(cls, url: str | None) -> str | None:
        if url is not None:
            _check_url(url, "an MCP server", "https://tools.example.com/mcp", "secrets")
        return url

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        if bool(self.command) == (self.url is not None):
            raise ValueError("an MCP server has either a 'command' that starts it, or a 'url'")
        if self.command and not self.command[0].strip():
            raise ValueError("the first word of 'command' is the program, and it is empty")
        if any("\x00" in word for word in self.command):
            raise ValueError("a word of 'command' holds a zero byte, which no program can be given")
        what, pattern = ("an environment variable", VARIABLE_NAME) if self.command else ("a header", HEADER_NAME)
        for name in self.secrets:
            if not pattern.fullmatch(name):
                raise ValueError(f"{name!r} in 'secrets' is no name of {what}")
        return self


def _check_url(url: str, what: str, example: str, place: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{what} is an http or https URL, such as {example}")
    if "@" in parts.netloc or _credentials_in(url):
        raise ValueError(f"a password does not stand in the settings: name a secret in '{place}'")


def _credentials_in(url: str) -> bool:
    """Whether a URL's parameters name a secret, however they are spelled."""
    return any(name.lower() in CREDENTIALS for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True))


class Settings(Value):
    """All of it. Read by `load_settings`; without a file, nothing is set."""

    http: HttpSettings = HttpSettings()
    email: EmailSettings | None = None
    sql: dict[Name, SqlSettings] = Field(default={})
    files: dict[Name, FileRoot] = Field(default={})
    llm: LlmSettings | None = None
    forge: ForgeSettings = ForgeSettings()
    mcp: dict[Name, McpSettings] = Field(default={})
    folder: Path = Field(default=Path(), exclude=True)
    """Where the file lies: relative paths in it begin there."""


def load_settings(folder: Path) -> Settings:
    """The settings of a project folder. InvalidInput where its file is not what Settings says, with the near miss."""
    file = folder / FILE
    if not file.exists():
        return Settings(folder=folder)
    settings, _ = read_toml(file, Settings, "the settings")
    return settings.model_copy(update={"folder": folder})

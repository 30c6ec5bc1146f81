"""What a project sets, its secrets, and what a grant says of one call."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from ritesmith.errors import InvalidInput
from ritesmith.grants import call_effect, effect_of, may_repeat
from ritesmith.hosts import Secrets, outside_grant
from ritesmith.models import Contract, HostFunction
from ritesmith.settings import FILE, Settings, load_settings

NAMES = {"type": "array", "items": {"type": "string"}}
FETCH = HostFunction(
    name="web.fetch",
    description="",
    input={
        "type": "object",
        "properties": {"url": {"type": "string"}, "method": {"type": "string", "default": "GET"}, "key": {}},
    },
    output={},
    effect="write",
    idempotent=False,
    narrows={"hosts": NAMES, "methods": {**NAMES, "default": ["GET"]}, "secrets": {**NAMES, "default": []}},
    reads={"method": ("GET", "HEAD")},
    repeatable={"method": ("PUT",)},
)


# ---------------------------------------------------------------- settings


def test_without_a_file_nothing_is_set(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings(folder=tmp_path)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "ritesmith.toml").write_text(
        '[http]\nnetworks = ["10.1.0.0/16"]\n'
        '[email]\nhost = "mail"\nsender = "a@b.example"\nuser = "a"\npassword = "MAIL"\n'
        '[sql.sales]\nurl = "sqlite:sales.db"\n[files.inbox]\npath = "in"\n[mcp.notes]\ncommand = ["notes"]\n'
        '[mcp.notes.tools.find]\neffect = "read"\n'
    )
    settings = load_settings(tmp_path)
    assert settings.http.networks == ("10.1.0.0/16",)
    assert settings.email is not None
    assert (settings.email.password, settings.email.port) == ("MAIL", 587)
    assert settings.sql["sales"].rows_max == 1000
    assert settings.mcp["notes"].tools["find"].effect == "read"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[http", "can't be used as the settings"),
        ("[htpt]\n", "unknown field 'htpt' (did you mean 'http'?)"),
        ("[http]\nplian = []\n", "unknown field 'plian' (did you mean 'plain'?)"),
        ('[http]\nnetworks = ["10.1.0.0/99"]\n', "networks"),
        ("[email]\nport = 25\n", "the field 'host' is missing"),
        ('[email]\nhost = "m"\nsender = "s"\npassword = "hunter2"\n', "password"),
        ('[sql."../x"]\nurl = "sqlite:x"\n', "sql"),
        ('[files.a]\npath = "in\\u0000"\n', "$.files.a.path"),
        ('[llm]\nmodel = "m"\nprice_in = inf\n', "$.llm.price_in"),
        ('[llm]\nmodel = "m"\nprice_in = 1\nprice_out = 1\ncost_per_run = inf\n', "$.llm.cost_per_run"),
        ('[mcp.a]\nurl = "ftp://x"\n', "an MCP server is an http or https URL"),
        ('[mcp.a]\nurl = "http://[x"\n', "$.mcp.a.url"),
        ('[mcp.a]\nurl = "https://ann:hunter2@x.example/"\n', "a password does not stand in the settings"),
        ('[mcp.a]\nurl = "https://hunter2@x.example/"\n', "a password does not stand in the settings"),
        ('[mcp.a]\nurl = "https://x.example/?api_key=hunter2"\n', "a password does not stand in the settings"),
        ('[llm]\nmodel = "m"\nbase_url = "http://x/v1?Access%5FToken=hunter2"\n', "a password does not stand"),
        ('[sql.a]\nurl = "postgresql://db/x?passw%6frd=hunter2"\n', "a password does not stand in the settings"),
        ("[http]\nports = [true]\n", "$.http.ports[0]"),
        ('[http]\nports = ["443"]\n', "$.http.ports[0]"),
        ("[http]\nports = [443.0]\n", "$.http.ports[0]"),
        ("[http]\nread_seconds = true\n", "$.http.read_seconds"),
        ("[http]\nbytes_max = true\n", "$.http.bytes_max"),
        ('[http]\nplain = [""]\n', "$.http.plain[0]"),
        ('[email]\nhost = ""\nsender = "a@b.example"\n', "$.email.host"),
        ('[email]\nhost = "m x"\nsender = "a@b.example"\n', "$.email.host"),
        ('[email]\nhost = "m"\nsender = "a@b.example\\r\\nBcc: c@d.example"\n', "$.email.sender"),
        ('[files.a]\npath = "in"\nwrite = 1\n', "$.files.a.write"),
        ('[llm]\nmodel = ""\n', "$.llm.model"),
        ('[mcp.a]\ncommand = [""]\n', "the first word of 'command' is the program, and it is empty"),
        ('[mcp.a]\ncommand = ["x"]\nsecrets = { "A=B" = "KEY" }\n', "'A=B' in 'secrets' is no name of an environment"),
        ('[mcp.a]\nurl = "http://x"\nsecrets = { "A B" = "KEY" }\n', "'A B' in 'secrets' is no name of a header"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "ritesmith.toml").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        load_settings(tmp_path)
    assert str(tmp_path / "ritesmith.toml") in caught.value.message
    assert words in caught.value.message


# ---------------------------------------------------------------- secrets


def test_a_secret_is_an_environment_variable_or_a_line_of_a_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text('API_KEY = "from the file"\nOTHER = "another one"\n')
    file.chmod(0o600)
    secrets = Secrets(tmp_path, {"RITESMITH_SECRET_API_KEY": "from outside"})
    assert (secrets.get("API_KEY"), secrets.get("OTHER"), secrets.get("NONE")) == ("from outside", "another one", None)
    assert "another one" not in repr(secrets)
    file.chmod(0o640)
    with pytest.raises(InvalidInput, match="can be read by others") as caught:
        secrets.get("OTHER")
    assert caught.value.hint == f"chmod 600 {file}"
    with pytest.raises(InvalidInput, match="shorter than 4"):
        Secrets(None, {"RITESMITH_SECRET_PIN": "123"}).get("PIN")


def test_a_secret_that_another_process_sent_is_cut_out_too(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text('FILED = "in the file"\nPIN = "123"\n')
    file.chmod(0o600)
    outside = {"RITESMITH_SECRET_OUTSIDE": "from outside", "HOME": "/home/ann"}
    said: Any = "123 in the file, from outside, /home/ann"
    assert Secrets(tmp_path, outside).redact(said) == "123 [secret FILED], [secret OUTSIDE], /home/ann"
    file.chmod(0o640)
    assert Secrets(tmp_path, outside).redact(said) == "123 in the file, [secret OUTSIDE], /home/ann"


def test_a_secret_is_cut_out_of_every_text_however_it_is_coded() -> None:
    secret = 'p/s+s "wörd"'
    secrets = Secrets(None, {"RITESMITH_SECRET_KEY": secret})
    said = {"plain": f"<{secret}>", "url": quote(secret, safe=""), "json": json.dumps({"a": secret})}
    said |= {"form": quote_plus(secret), "path": quote(secret), "low": "p%2fs%2bs%20%22w%c3%b6rd%22"}
    said["php"] = json.dumps({"a": secret}).replace("/", "\\/")
    for before in ("", "u", "us", "use:", "user:"):
        for after in ("", "x", "xy"):
            said[f"{before}.{after}"] = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
            said[f"url {before}.{after}"] = base64.urlsafe_b64encode(f"{before}{secret}{after}".encode()).decode()
    said[secret] = "a key"
    redacted: Any = secrets.redact([said, 7, None])
    text = json.dumps(redacted)
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], "wörd", "w\\u00f6rd"):
        assert form not in text
    for key, value in redacted[0].items():
        assert "[secret KEY]" in (value if value != "a key" else key), (key, value)
    assert redacted[1:] == [7, None]


# ---------------------------------------------------------------- grants


def contract(grant: dict[str, Any]) -> Contract:
    return Contract.model_validate(
        {"name": "a.b", "intent": "a test", "input": {}, "output": {}, "grants": {"web.fetch": grant}, "examples": []}
    )


@pytest.mark.parametrize(
    ("grant", "effect"),
    [
        ({"hosts": ["a.example"]}, "read"),
        ({"hosts": ["a.example"], "methods": ["GET", "HEAD"]}, "read"),
        ({"hosts": ["a.example"], "methods": ["GET", "POST"]}, "write"),
        ({"hosts": ["a.example"], "methods": "GET"}, "write"),
    ],
)
def test_what_is_granted_only_reading_calls_is_a_read(grant: dict[str, Any], effect: str) -> None:
    assert effect_of(contract(grant), {"web.fetch": FETCH}) == effect


@pytest.mark.parametrize(
    ("args", "effect", "again"),
    [
        ({}, "read", False),
        ({"method": "PUT"}, "write", True),
        ({"method": "POST"}, "write", False),
        ([], "read", False),
    ],
)
def test_the_effect_of_a_call_is_that_of_its_arguments(args: Any, effect: str, again: bool) -> None:
    assert (call_effect(FETCH, args), may_repeat(FETCH, args)) == (effect, again)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"url": "https://a.example/x"}, None),
        ({"url": "https://A.Example:443/x"}, "host 'a.example:443' is not granted"),
        ({"url": "https://b.example/x"}, "host 'b.example' is not granted (granted: a.example)"),
        ({"url": "https://a.example@b.example/"}, "host 'b.example' is not granted"),
        ({"url": "https://[broken"}, "host '' is not granted"),
        ({"method": "POST", "url": "https://a.example"}, "method 'POST' is not granted (granted: GET)"),
        ({"url": "https://a.example", "key": [{"x": {"secret": "OWN"}}]}, None),
        ({"url": "https://a.example", "key": {"x": {"secret": "OTHER"}}}, "secret 'OTHER' is not granted"),
    ],
)
def test_a_call_outside_its_grant_is_told_so(args: Any, words: str | None) -> None:
    refused = outside_grant(FETCH, args, {"hosts": ["a.example"], "secrets": ["OWN"]})
    assert (refused is None) if words is None else words in (refused or "")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[http]\nportz = [443]", "did you mean 'ports'?"),
        ("[email]\nprot = 25", "did you mean 'port'?"),
        ('[sql.sales]\nulr = "sqlite:a.db"', "did you mean 'url'?"),
        ('[mcp.notes]\ncomand = ["a"]', "did you mean 'command'?"),
        ('[mcp.notes.tools.find]\nefect = "read"', "did you mean 'effect'?"),
        ('[forge.fallback.local]\nmodle = "a"', "did you mean 'model'?"),
        ('[http]\nports = "x"', "it must be a list"),
    ],
)
def test_the_near_miss_is_a_key_of_the_same_table(tmp_path, text, meant):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InvalidInput, match=re.escape(meant)):
        load_settings(tmp_path)

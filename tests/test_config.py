"""The table of settings: the same as the models', written as a file, shown with origins, and held against variables."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from conftest import child, environment
from pydantic import BaseModel

from ritesmith.guard.policy import load_policy
from ritesmith.intake import content_folder
from ritesmith.project import POLICY, files
from ritesmith.settings import Settings, load_settings
from ritesmith.settings_table import (
    EXAMPLE_NAMES,
    SETTINGS,
    TABLES,
    commented_file,
    table_of,
    unknown_variables,
    without_credentials,
)

OTHERS = {"FileRoot": "NAME.", "McpTool": "TOOL.", "FallbackModel": "NAME.", "ModelPrice": "MODEL."}
"""Models of tables that are not called settings, and what stands for a name of one's own in them."""


def fields(model=Settings, before=""):
    """Every key that the file may have, as the table names it, with the field of the model."""
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        inner = [each for each in re.findall(r"\w+", str(field.annotation)) if each.endswith("Settings")]
        inner += [each for each in re.findall(r"\w+", str(field.annotation)) if each in OTHERS]
        if not inner:
            yield before + name, field
            continue
        import ritesmith.settings as module

        part: type[BaseModel] = getattr(module, inner[0])
        own = OTHERS.get(inner[0], "NAME.") if "dict" in str(field.annotation) else ""
        yield from fields(part, f"{before}{name}.{own}")


def uncommented(text):
    """The file with every setting in force: lines that begin with '#' and no space."""
    return re.sub(r"(?m)^#(?! )", "", text)


# ---------------------------------------------------------------- the table


def test_the_table_has_every_setting_that_the_file_may_have_and_no_other():
    assert [each.name for each in SETTINGS if each.file] == [name for name, _ in fields()]
    assert {table_of(each) for each in SETTINGS if each.file} == set(TABLES)


@pytest.mark.parametrize(("name", "field"), list(fields()), ids=lambda value: str(value)[:40])
def test_a_default_of_the_table_is_that_of_the_model(name, field):
    [setting] = [each for each in SETTINGS if each.name == name]
    if field.is_required() or field.default is None or (field.default == () and name.startswith("mcp")):
        assert setting.example or name == "mcp.NAME.url"
        return
    default = json.loads(json.dumps(field.default))
    assert tomllib.loads(f"x = {setting.default}")["x"] == default


def test_the_commented_file_sets_nothing(tmp_path):
    (tmp_path / "ritesmith.toml").write_text(commented_file())
    assert load_settings(tmp_path) == Settings(folder=tmp_path)


def test_the_commented_file_is_one_that_works_when_it_is_not_commented(tmp_path):
    (tmp_path / "ritesmith.toml").write_text(uncommented(commented_file()))
    settings = load_settings(tmp_path)
    assert settings.email is not None
    assert settings.email.host == "mail.example.com"
    assert settings.mcp["notes"].tools["find"].effect == "write"
    said = tomllib.loads(uncommented(commented_file()))
    for setting in SETTINGS:
        if not setting.file or setting.name == "mcp.NAME.url":  # instead of its command
            continue
        value = said
        for part in EXAMPLE_NAMES.get(table_of(setting), table_of(setting)).split("."):
            value = value[part]
        assert setting.name.rpartition(".")[2] in value


def test_the_policy_of_a_new_project_changes_nothing_and_works_when_it_is_not_commented(tmp_path):
    bundled = content_folder() / "guardrails" / "policy.toml"
    own = tmp_path / "policy.toml"
    own.write_text(POLICY)
    plain, with_own = load_policy(bundled), load_policy(bundled, own)
    assert (with_own.rules, with_own.limits, with_own.run_limits) == (plain.rules, plain.limits, plain.run_limits)
    own.write_text(uncommented(POLICY))
    stricter = load_policy(bundled, own)
    assert stricter.limits.fuel == 50_000_000
    assert stricter.run_limits.steps == 10_000


# ---------------------------------------------------------------- what holds


def shown(cli, *words):
    return {each["name"]: each for each in cli("config", "show", *words, "--json").json["settings"]}


def test_a_value_comes_from_the_flag_then_the_variable_then_the_file_then_the_default(cli, place, monkeypatch):
    (place / "ritesmith.toml").write_text('[http]\nports = [443, 8443]\n[sql.sales]\nurl = "sqlite:sales.db"\n')
    found = shown(cli)
    assert (found["registry"]["value"], found["registry"]["origin"]) == (str(place / "registry.db"), "default")
    assert (found["http.ports"]["value"], found["http.ports"]["origin"]) == ([443, 8443], "ritesmith.toml")
    assert (found["http.plain"]["value"], found["http.plain"]["origin"]) == ([], "default")
    assert (found["sql.sales.url"]["origin"], found["sql.sales.rows_max"]["origin"]) == ("ritesmith.toml", "default")
    assert found["email.host"]["value"] is None
    monkeypatch.setenv("RITESMITH_DB", str(place / "other.db"))
    assert shown(cli)["registry"] | {"about": ""} == found["registry"] | {
        "value": str(place / "other.db"),
        "origin": "variable RITESMITH_DB",
        "about": "",
    }
    flagged = cli("--db", "third.db", "config", "show", "registry", "--json").json["settings"]
    assert [(each["value"], each["origin"]) for each in flagged] == [(str(place / "third.db"), "flag --db")]
    assert not (place / "other.db").exists()
    assert not (place / "third.db").exists()


def test_what_is_secret_is_never_shown(cli, place, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-1")
    monkeypatch.setenv("RITESMITH_LLM_BASE_URL", "http://ann:very-secret-2@x.example/v1?key=very-secret-3")
    monkeypatch.setenv("RITESMITH_SECRET_MAIL", "very-secret-4")
    (place / "secrets.toml").write_text('SALES = "very-secret-5"\n')
    (place / "secrets.toml").chmod(0o600)
    (place / "ritesmith.toml").write_text('[mcp.a]\ncommand = ["tool", "--password=very-secret-5"]\n')
    for words in (["config", "show", "--origin"], ["config", "show", "--json"]):
        done = cli(*words)
        assert done.code == 0
        assert "very-secret" not in done.out + done.err
    found = shown(cli)
    assert found["model.key"]["value"] == "set"
    assert found["model.base_url"]["value"] == "http://x.example/v1"
    assert (found["secret.MAIL"]["value"], found["secret.MAIL"]["origin"]) == ("set", "variable RITESMITH_SECRET_MAIL")
    assert found["secret.SALES"]["origin"] == "secrets.toml"


def test_one_setting_or_one_table_is_shown_and_a_near_miss_named(cli):
    assert list(shown(cli, "http.ports")) == ["http.ports"]
    assert len(shown(cli, "http")) == 7
    done = cli("config", "show", "http.prots")
    assert (done.code, "did you mean 'http.ports'?" in done.err) == (3, True)


def test_an_unknown_key_of_the_file_is_refused_with_the_near_miss(cli, place):
    (place / "ritesmith.toml").write_text("[http]\ntotl_seconds = 3\n")
    done = cli("config", "show")
    assert (done.code, "did you mean 'total_seconds'?" in done.words) == (2, True)


def test_paths_are_told_also_of_what_is_not_there(tmp_path, cli):
    assert cli("config", "path").out.strip().endswith("/ritesmith.toml")
    told = cli("--db", tmp_path / "a" / "b.db", "config", "path", "--json").json
    assert told["settings"] == str(tmp_path / "a" / "ritesmith.toml")
    assert set(told) == {"registry", "settings", "secrets", "policy", "keys"}
    assert not (tmp_path / "a").exists()


def test_an_unknown_variable_is_warned_of_with_the_near_miss(tmp_path):
    done = child("config", "path", folder=tmp_path, env=environment(RITESMITH_BD="x", RITESMITH_SECRET_ANY="x"))
    assert done.code == 0
    assert done.err == "Warning: there is no setting RITESMITH_BD; did you mean RITESMITH_DB?\n"
    assert unknown_variables(["RITESMITH_XYZZY", "RITESMITH_DB", "HOME"]) == [("RITESMITH_XYZZY", None)]


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://a.example/v1", "https://a.example/v1"),
        ("https://tok@a.example:8/v1", "https://a.example:8/v1"),
        ("https://a.example/?key=1", "https://a.example/"),
        ("http://[x", "(not a URL)"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url, plain):
    assert without_credentials(url) == plain


# ---------------------------------------------------------------- a new project


def test_init_makes_a_project_folder_and_never_overwrites(tmp_path):
    made = child("init", "deep/billing", "--json", folder=tmp_path)
    assert made.code == 0
    folder = tmp_path / "deep" / "billing"
    assert made.json["written"] == list(files())
    assert made.json["kept"] == []
    for name, text in files().items():
        assert (folder / name).read_text() == text
    assert (folder / "registry.db").is_file()
    assert "secrets.toml" in (folder / ".gitignore").read_text().split()
    (folder / "ritesmith.toml").write_text("[http]\nports = [444]\n")
    (folder / ".gitignore").unlink()
    again = child("init", "deep/billing", folder=tmp_path)
    assert again.code == 0
    assert "wrote .gitignore\n" in again.out
    assert "kept ritesmith.toml, which was there" in again.out
    assert (folder / "ritesmith.toml").read_text() == "[http]\nports = [444]\n"
    assert "cd deep/billing" in again.out


def test_init_in_a_file_is_refused(cli, place):
    (place / "a-file").write_text("")
    done = cli("init", "a-file")
    assert (done.code, "cannot be made a folder" in done.err) == (2, True)
    assert cli("init", "sub", "--db", "x.db").code == 2  # --db stands before the command


def test_init_beside_a_named_registry(cli, place):
    (place / "elsewhere").mkdir()
    done = cli("--db", "elsewhere/own.db", "init", "--json")
    assert done.code == 0
    assert (place / "elsewhere" / "ritesmith.toml").is_file()
    assert not Path("ritesmith.toml").exists()
    assert cli("--db", "elsewhere/own.db", "init", "folder").code == 2

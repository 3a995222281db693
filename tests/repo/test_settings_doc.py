"""What is said of the settings: the example file, the table of the docs, the schema, `config show`."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from reaper.cli.commands import config as config
from reaper.core.times import DURATION_PATTERN
from reaper.settings.load import load
from reaper.settings.reference import json_schema, schema_json, sections, setting_specs, toml_value
from reaper.settings.schema import Settings
from reaper.settings.starter import SCHEMA_FILE, SCHEMA_LINE
from tools.settings_reference import example_toml, with_table

ROOT = Path(__file__).parents[2]
REGENERATE = "run `make generated` and commit what it writes"


def shown(
    capsys: pytest.CaptureFixture[str], what: str, *, as_json: bool = False, changed: bool = False
) -> tuple[str, str]:
    flags: dict[str, object] = {"worker.concurrency": 3}
    given = argparse.Namespace(action=what, config=None, profile=None, json=as_json, changed=changed, flags=flags)
    assert config.run(given) == 0
    out, err = capsys.readouterr()
    return out, err


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("reaper.settings.config_file.DEFAULT_CONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("REAPER_API__TOKEN", "hidden")
    monkeypatch.setenv("REAPER_API__TOKEN_FILE", "/run/token")
    monkeypatch.setenv("REAPER_API__PROXY", "http://u:hidden@proxy:3128")
    monkeypatch.setenv("REAPER_QUEUE__URL", "postgresql://u:hidden@h/db")
    monkeypatch.setenv("REAPER_PROTECT__GLOBS", "a*,b")


def test_the_committed_files_are_what_the_settings_say() -> None:
    assert (ROOT / "config/reaper.toml").read_text(encoding="utf-8") == example_toml(), REGENERATE
    assert (ROOT / "config" / SCHEMA_FILE).read_text(encoding="utf-8") == schema_json(), REGENERATE
    assert example_toml().startswith(SCHEMA_LINE)
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert page == with_table(page), REGENERATE


def test_the_example_uncommented_is_exactly_the_defaults(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=[a-z])", "", example_toml(), flags=re.MULTILINE)
    tree = tomllib.loads(text)
    assert {f"{section}.{name}" for section, table in tree.items() for name in table} == set(setting_specs())
    path = tmp_path / "reaper.toml"
    path.write_text(text)
    environ = {"HOME": "/home/me"}
    result = load(path, {}, environ)
    assert result.settings == Settings.model_validate(
        {"queue": {"url": "sqlite:///home/me/.local/state/reaper/reaper.db"}}
    )
    assert result.warnings == ()


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "reaper.toml"
    path.write_text(example_toml())
    assert set(load(path, {}, {"HOME": "/h"}).origins.values()) == {"default", "default, in the home directory"}


def test_every_knob_is_explained() -> None:
    for knob in setting_specs().values():
        assert knob.description.endswith("."), knob.key
        assert "|" not in knob.description, knob.key
    assert all(model.__doc__ and model.__doc__.count("\n") == 0 for model in sections().values())


def test_the_schema_has_every_knob_and_no_noise() -> None:
    schema: dict[str, Any] = json_schema()
    keys = {f"{section}.{name}" for section, table in schema["properties"].items() for name in table["properties"]}
    assert keys == set(setting_specs())
    text = json.dumps(schema)
    assert not re.search(r'"\$ref"|"\$defs"|"anyOf"|null|Settings"|_consistent', text)
    for section in schema["properties"].values():
        assert section["additionalProperties"] is False
        for name, knob in section["properties"].items():
            assert {"type", "default", "description"} <= knob.keys(), name
    concurrency = schema["properties"]["worker"]["properties"]["concurrency"]
    assert (concurrency["minimum"], concurrency["maximum"], concurrency["default"]) == (1, 1000, 32)


def test_every_key_that_ends_in_s_is_a_duration_in_both_forms() -> None:
    durations = {key for key, spec in setting_specs().items() if spec.is_duration}
    assert durations == {key for key in setting_specs() if key.endswith("_s")} - {"worker.rate_per_s"}
    schema: dict[str, Any] = json_schema()
    for key in durations:
        section, _, name = key.partition(".")
        knob = schema["properties"][section]["properties"][name]
        assert (knob["type"], knob["pattern"]) == (["number", "string"], DURATION_PATTERN), key
        assert "maximum" in knob, key


@pytest.mark.parametrize("value", ["", 'a "b" \\ \n\x7f ü', "/p", True, 3, 0.25, 2592000.0, ("a", "b"), ()])
def test_values_survive_toml(value: object) -> None:
    read = tomllib.loads(f"x = {toml_value(value)}")["x"]
    assert read == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.usefixtures("secrets")
def test_show_prints_the_file_in_effect_with_origins_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown(capsys, "show")
    assert "hidden" not in out + err
    tree = tomllib.loads(out)
    assert (tree["api"]["token"], tree["api"]["token_file"]) == ("********", "/run/token")
    assert tree["api"]["proxy"] == "http://********@proxy:3128"
    assert tree["queue"]["url"] == "postgresql://********@h/db"
    assert tree["protect"]["globs"] == ["a*", "b"]
    assert re.search(r"^concurrency = 3 +# flag --concurrency$", out, re.MULTILINE)
    assert re.search(r'^token = "\*{8}" +# environment REAPER_API__TOKEN$', out, re.MULTILINE)
    assert {f"{section}.{name}" for section, table in tree.items() for name in table} == set(setting_specs())
    for table in out.split("\n\n")[1:]:
        assert len({line.rindex(" # ") for line in table.splitlines()[1:]}) == 1, "aligned"
    assert err == "reaper: warning: api.token is set and not used: api.token_file wins\n"


@pytest.mark.usefixtures("secrets")
def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(capsys, "show", as_json=True)
    assert "hidden" not in out
    tree = json.loads(out)
    assert tree["worker"]["concurrency"] == {"value": 3, "origin": "flag --concurrency"}
    assert tree["api"]["token"] == {"value": "********", "origin": "environment REAPER_API__TOKEN"}
    assert tree["api"]["token_file"]["value"] == "/run/token"
    assert tree["intake"]["spool_dir"] == {"value": None, "origin": "default"}


@pytest.mark.usefixtures("secrets")
def test_show_of_what_is_changed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = shown(capsys, "show", changed=True)
    changed = {
        "api": ["proxy", "token", "token_file"],
        "worker": ["concurrency"],
        "queue": ["url"],
        "protect": ["globs"],
    }
    assert {section: sorted(table) for section, table in tomllib.loads(out).items()} == changed
    tree = json.loads(shown(capsys, "show", as_json=True, changed=True)[0])
    assert {section: sorted(tree[section]) for section in sections() if tree[section]} == changed
    for name in ("API__TOKEN", "API__TOKEN_FILE", "API__PROXY", "QUEUE__URL", "PROTECT__GLOBS"):
        monkeypatch.delenv(f"REAPER_{name}")
    out, _ = shown(capsys, "show", changed=True)
    assert out.endswith("[worker]\nconcurrency = 3  # flag --concurrency\n")


@pytest.mark.usefixtures("secrets")
def test_show_says_where_it_looked_for_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    user, machine = tmp_path / "reaper/reaper.toml", tmp_path / "none"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def comments() -> list[str]:
        return shown(capsys, "show", changed=True)[0].split("\n\n")[0].splitlines()

    assert comments() == [
        "# settings file: none; these places were looked at",
        f"#   {user}  (user): is not there",
        f"#   {machine}  (machine): is not there",
    ]
    user.parent.mkdir()
    user.touch()
    machine.touch()
    assert comments() == [
        f"# settings file: {user}",
        f"#   {user}  (user): in use",
        f"#   {machine}  (machine): exists, hidden",
    ]
    tree = json.loads(shown(capsys, "show", as_json=True)[0])
    assert (tree["config_file"], tree["profile"]) == (str(user), None)
    assert tree["places"] == [
        {"path": str(user), "rule": "user", "exists": True, "used": True},
        {"path": str(machine), "rule": "machine", "exists": True, "used": False},
    ]
    user.rename(user.with_name("staging.toml"))
    monkeypatch.setenv("REAPER_PROFILE", "staging")
    assert comments()[0] == "# profile: staging"


def test_schema_reads_no_settings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAPER_NONSENSE", "1")
    out, _ = shown(capsys, "schema")
    assert json.loads(out) == json_schema()


def test_the_defaults_are_valid_by_their_own_rules() -> None:
    defaults: dict[str, dict[str, object]] = {section: {} for section in sections()}
    for knob in setting_specs().values():
        defaults[knob.section][knob.name] = knob.default if knob.default is not None else ""
    assert Settings.model_validate(defaults) == Settings()

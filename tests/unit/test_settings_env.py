"""Where the token and the ledger are, as the surroundings tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaper.core.errors import ConfigError
from reaper.settings.schema import Settings
from reaper.settings.state_dir import TokenSource, state_dir, token_source


def source(api: dict[str, object], environ: dict[str, str]) -> TokenSource:
    return token_source(Settings.model_validate({"api": api}), environ)


def test_a_token_file_wins_and_need_not_exist(tmp_path: Path) -> None:
    (tmp_path / "archal-token").write_text("x")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "ARCHAL_TOKEN": "common"}
    assert source({"token_file": "/none", "token": "x"}, environ) == TokenSource(Path("/none"), None, "api.token_file")


def test_a_service_credential_wins_over_a_value_if_it_is_there(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert source({"token": "x"}, environ).origin == "api.token"
    (tmp_path / "archal-token").write_text("x")
    found = source({"token": "x"}, environ)
    assert (found.file, found.value) == (tmp_path / "archal-token", None)
    assert found.origin == "$CREDENTIALS_DIRECTORY/archal-token"


def test_a_value_is_told_by_its_origin_and_not_shown() -> None:
    found = source({"token": "hidden"}, {"ARCHAL_TOKEN": " hidden\n"})
    assert (found.file, found.origin) == (None, "ARCHAL_TOKEN")
    assert found.value is not None
    assert found.value.get_secret_value() == "hidden"
    assert "hidden" not in repr(found)
    assert source({"token": "hidden"}, {"ARCHAL_TOKEN": "other"}).origin == "api.token"


def test_without_a_token_the_error_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"no API token: set ARCHAL_TOKEN, api\.token_file or api\.token"):
        source({}, {"CREDENTIALS_DIRECTORY": "/none"})


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"STATE_DIRECTORY": "/a:/b", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/a"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/reaper"),
        ({"HOME": "/h"}, "/h/.local/state/reaper"),
    ],
)
def test_the_state_directory(environ: dict[str, str], path: str) -> None:
    assert state_dir(environ) == Path(path)


@pytest.mark.parametrize("variable", ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"])
def test_a_relative_state_directory_is_refused(variable: str) -> None:
    with pytest.raises(ConfigError, match=f"^{variable} must be an absolute path"):
        state_dir({variable: "state"})


def test_without_a_home_the_account_or_a_clear_error_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_dir({}).parts[-3:] == (".local", "state", "reaper")

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("reaper.settings.state_dir.pwd.getpwuid", unknown)
    with pytest.raises(ConfigError, match=r"set STATE_DIRECTORY or queue\.url"):
        state_dir({})

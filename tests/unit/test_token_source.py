"""Finding the API token."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaper.core.errors import ConfigError
from reaper.settings.sections import ApiSettings
from reaper.settings.token_source import TokenSource, token_source


def source(api: dict[str, object], environ: dict[str, str]) -> TokenSource:
    return token_source(ApiSettings.model_validate(api), environ)


def test_a_token_file_wins_and_need_not_exist(tmp_path: Path) -> None:
    (tmp_path / "archal-token").write_text("x")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "ARCHAL_TOKEN": "common"}
    assert source({"token_file": "/none", "token": "x"}, environ) == TokenSource(Path("/none"), None)


def test_a_service_credential_wins_over_a_value_if_it_is_there(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert source({"token": "x"}, environ).file is None
    (tmp_path / "archal-token").write_text("x")
    found = source({"token": "x"}, environ)
    assert (found.file, found.value) == (tmp_path / "archal-token", None)


def test_a_value_is_not_shown() -> None:
    found = source({"token": "hidden"}, {})
    assert found.file is None
    assert found.value is not None
    assert found.value.get_secret_value() == "hidden"
    assert "hidden" not in repr(found)


def test_without_a_token_the_error_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"no API token: set ARCHAL_TOKEN, api\.token_file or api\.token"):
        source({}, {"CREDENTIALS_DIRECTORY": "/none"})

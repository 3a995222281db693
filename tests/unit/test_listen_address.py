"""Reading `telemetry.listen` alone gives the same result as loading all settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaper.core.errors import ConfigError
from reaper.settings.listen_address import listen_address, split_listen
from reaper.settings.load import load

ENVIRON = {"HOME": "/home/me"}


@pytest.fixture(autouse=True)
def no_installed_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("reaper.settings.config_file.DEFAULT_CONFIG", str(tmp_path / "etc/reaper.toml"))


@pytest.mark.parametrize("variable", [None, "", "0.0.0.0:1", " [::1]:2 ", "nonsense", "host:70000"])
@pytest.mark.parametrize(
    "text",
    [None, "", "[telemetry]", 'telemetry.listen = ""', '[telemetry]\nlisten = "localhost:9"', "telemetry.listen = 9"],
)
@pytest.mark.parametrize("named_by", ["flag", "variable", "place"])
def test_it_agrees_with_load(tmp_path: Path, named_by: str, text: str | None, variable: str | None) -> None:
    environ, config = dict(ENVIRON), None
    if variable is not None:
        environ["REAPER_TELEMETRY__LISTEN"] = variable
    if text is not None:
        path = tmp_path / ("etc/reaper.toml" if named_by == "place" else "named.toml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        if named_by == "variable":
            environ["REAPER_CONFIG"] = str(path)
        config = str(path) if named_by == "flag" else None
    try:
        whole = split_listen(load(config, {}, environ).settings.telemetry.listen)
    except ConfigError:
        with pytest.raises(ConfigError, match=r"telemetry\.listen must be"):
            listen_address(config, environ)
    else:
        assert listen_address(config, environ) == whole


def test_what_is_an_address() -> None:
    assert split_listen("127.0.0.1:9464") == ("127.0.0.1", 9464)
    assert split_listen("[::1]:0") == ("::1", 0)
    assert split_listen("  ") is None
    for wrong in (
        ":9464",
        "localhost",
        "localhost:",
        "::1:9464",
        "[]:1",
        "a:65536",
        "a:-1",
        "a b:1",
        "http://a:1",
        "a:1²",
    ):
        with pytest.raises(ValueError, match="must be host:port"):
            split_listen(wrong)


def test_a_file_that_cannot_be_read_is_an_error_here_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        listen_address(tmp_path / "none.toml", ENVIRON)
    broken = tmp_path / "broken.toml"
    broken.write_text("[telemetry")
    with pytest.raises(ConfigError, match="is not TOML"):
        listen_address(broken, ENVIRON)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAPER_TELEMETRY__LISTEN", "localhost:7")
    assert listen_address(None) == ("localhost", 7)

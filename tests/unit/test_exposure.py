"""A secret that others can read, or that cannot work as it is written, is a warning; the secret is not shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reaper.settings.load import load

SECRET = "archal_ws_hidden"
TOKEN, QUEUE = f'[api]\ntoken = "{SECRET}"\n', '[queue]\nurl = "postgresql://u:hidden@db/reaper"\n'


@pytest.fixture(autouse=True)
def no_installed_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("reaper.settings.config_file.DEFAULT_CONFIG", str(tmp_path / "etc/reaper.toml"))


def warned(config: Path | None = None, flags: dict[str, object] | None = None, **environ: str) -> tuple[str, ...]:
    warnings = load(config, flags or {}, {"HOME": "/home/me", **environ}).warnings
    assert not any("hidden" in warning for warning in warnings)
    return warnings


def written(path: Path, text: str, mode: int) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (TOKEN, "api.token"),
        (QUEUE, "queue.url"),
        ('[queue]\nurl = "postgresql://db/reaper?user=u&password=hidden"\n', "queue.url"),
        ('[api]\nproxy = "http://u:hidden@proxy:3128"\n', "api.proxy"),
        ('[notify]\nurls = ["ntfys://hidden"]\n', "notify.urls"),
        ('[notify]\nheartbeat_url = "https://hc.example/hidden"\n', "notify.heartbeat_url"),
        (TOKEN + QUEUE, "api.token and queue.url"),
    ],
)
def test_a_file_of_settings_with_a_secret_is_private(tmp_path: Path, text: str, what: str) -> None:
    (warning,) = warned(written(tmp_path / "reaper.toml", text, 0o644))
    assert warning.startswith(f"{tmp_path}/reaper.toml holds {what}, and every user may read it")
    assert warned(written(tmp_path / "reaper.toml", text, 0o640)) == ()


def test_a_file_of_settings_without_a_secret_may_be_read_by_all(tmp_path: Path) -> None:
    file = written(tmp_path / "reaper.toml", '[queue]\nurl = "postgresql://u@db/reaper"\n', 0o644)
    assert warned(file, ARCHAL_TOKEN=SECRET, REAPER_API__PROXY="http://u:hidden@proxy") == ()


def test_a_token_file_is_private(tmp_path: Path) -> None:
    file = written(tmp_path / "token", SECRET, 0o644)
    (warning,) = warned(REAPER_API__TOKEN_FILE=str(file))
    assert warning.startswith(f"every user may read the token file {file}")
    (tmp_path / "archal-token").symlink_to(file)
    assert len(warned(CREDENTIALS_DIRECTORY=str(tmp_path))) == 1
    file.chmod(0o440)
    assert warned(REAPER_API__TOKEN_FILE=str(file)) == ()
    assert warned(REAPER_API__TOKEN_FILE=str(tmp_path / "none")) == ()


def test_a_password_on_the_command_line_is_seen_by_all() -> None:
    for url in ("postgresql://u:hidden@db/reaper", "redis://:hidden@h/0", "postgresql://db/r?password=hidden"):
        (warning,) = warned(flags={"queue.url": url})
        assert "REAPER_QUEUE__URL" in warning
        assert warned(REAPER_QUEUE__URL=url) == ()
    assert warned(flags={"queue.url": "postgresql://u@db/reaper?passfile=/etc/reaper/pgpass"}) == ()


def test_a_token_in_quotes_is_one_that_the_api_refuses(tmp_path: Path) -> None:
    for quoted in (f"'{SECRET}'", f'"{SECRET}"', f'"{SECRET}'):
        (warning,) = warned(ARCHAL_TOKEN=quoted)
        assert warning.startswith("the token (environment ARCHAL_TOKEN) begins with a quote")
        file = written(tmp_path / "token", f"\n{quoted}\n", 0o600)
        (warning,) = warned(REAPER_API__TOKEN_FILE=str(file), ARCHAL_TOKEN=SECRET)
        assert warning.startswith(f"the token in {file} begins with a quote")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    assert warned(REAPER_API__TOKEN_FILE=str(pipe)) == ()

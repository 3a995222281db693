"""Finding the directory of the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaper.core.errors import ConfigError
from reaper.settings.state_dir import state_dir


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

    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(ConfigError, match=r"set HOME, or set queue\.url or STATE_DIRECTORY$"):
        state_dir({})

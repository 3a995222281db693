"""The places of the settings file, in order; the profile, which names a file and a state directory of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reaper.app.check.configuration import settings_lines
from reaper.cli import main
from reaper.core.errors import ConfigError, UsageError
from reaper.settings import config_file
from reaper.settings.config_file import Place, find_config, profile_of
from reaper.settings.listen_address import listen_address
from reaper.settings.load import load
from reaper.settings.state_dir import locate_state


@pytest.fixture(autouse=True)
def etc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the directory that stands for /etc/reaper."""
    monkeypatch.setattr(config_file, "DEFAULT_CONFIG", str(tmp_path / "etc/reaper.toml"))
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the user's directory of settings."""
    folder = tmp_path / "home/.config/reaper"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def write(path: Path, concurrency: int) -> Path:
    path.write_text(f'[worker]\nconcurrency = {concurrency}\n[telemetry]\nlisten = "h:{concurrency}"\n')
    return path


def test_each_place_wins_over_the_next(home: Path, etc: Path, environ: dict[str, str], tmp_path: Path) -> None:
    given, variable = write(tmp_path / "1.toml", 1), write(tmp_path / "2.toml", 2)
    user, machine = write(home / "reaper.toml", 3), write(etc / "reaper.toml", 4)

    def used(config: Path | None = None, **more: str) -> int:
        concurrency = load(config, {}, environ | more).settings.worker.concurrency
        assert listen_address(config, environ | more) == ("h", concurrency), "health reads the same file"
        return concurrency

    assert used(given, REAPER_CONFIG=str(variable)) == 1
    assert used(REAPER_CONFIG=str(variable)) == 2
    assert used(REAPER_CONFIG="") == 3
    assert used(XDG_CONFIG_HOME=str(tmp_path / "none")) == 4
    assert used(XDG_CONFIG_HOME=str(tmp_path / "home/.config"), HOME="/none") == 3
    user.unlink()
    assert used() == 4
    machine.unlink()
    assert load(None, {}, environ).search.used is None


def test_the_search_says_where_it_looked_and_what_is_hidden(home: Path, etc: Path, environ: dict[str, str]) -> None:
    machine = write(etc / "reaper.toml", 4)
    alone = find_config(None, environ)
    assert alone.places == (Place("user", str(home / "reaper.toml"), False), Place("machine", str(machine), True))
    assert (alone.used, alone.hidden) == (str(machine), None)
    write(home / "reaper.toml", 3)
    both = load(None, {}, environ)
    assert both.search.hidden == str(machine)
    _, warning = settings_lines(both)
    assert warning.warned
    assert warning.text.startswith(f"{home / 'reaper.toml'} hides {machine}, ")
    assert len(list(settings_lines(load(machine, {}, environ)))) == 1


def test_a_relative_directory_of_settings_is_refused_when_it_counts(tmp_path: Path) -> None:
    relative = {"XDG_CONFIG_HOME": "here", "HOME": "/h"}
    with pytest.raises(ConfigError, match=r"^XDG_CONFIG_HOME must be an absolute path; unset it, or name .* --config$"):
        find_config(None, relative)
    assert find_config(write(tmp_path / "1.toml", 1), relative).used == str(tmp_path / "1.toml")


def test_an_account_without_a_home_has_the_machines_file_only(monkeypatch: pytest.MonkeyPatch, etc: Path) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert [place.rule for place in find_config(None, {}).places] == ["machine"]


def test_a_users_file_that_cannot_be_seen_is_passed_over_with_a_warning(
    home: Path, etc: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def refusing(path: str, **more: object) -> os.stat_result:
        if str(path).startswith(str(closed)):
            raise PermissionError(13, "Permission denied")
        return real(path, **more)  # type: ignore[arg-type]

    write(etc / "reaper.toml", 4)
    closed = home
    monkeypatch.setattr(os, "stat", refusing)
    (warning,) = load(None, {}, environ).warnings
    assert warning.startswith(f"{home}/reaper.toml cannot be seen and is passed over (Permission denied)")
    closed = etc
    with pytest.raises(ConfigError, match=r"etc/reaper\.toml cannot be read: Permission denied; name another"):
        find_config(None, environ)
    write(home / "reaper.toml", 3)
    assert load(None, {}, environ).warnings == ()


# --- profiles -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_a_profile_has_a_file_and_a_ledger_of_its_own(by: str, home: Path, etc: Path, environ: dict[str, str]) -> None:
    write(home / "reaper.toml", 1)
    profile = "staging" if by == "flag" else None
    environ |= {"REAPER_PROFILE": "staging"} if by == "variable" else {}
    with pytest.raises(ConfigError, match=r"^the profile staging has no settings file: there is neither .* nor .*init"):
        load(None, {}, environ, profile=profile)
    write(etc / "staging.toml", 2)
    assert load(None, {}, environ, profile=profile).settings.worker.concurrency == 2
    write(home / "staging.toml", 3)
    loaded = load(None, {}, environ, profile=profile)
    assert (loaded.settings.worker.concurrency, loaded.profile) == (3, "staging")
    assert loaded.settings.queue.url.endswith("/.local/state/reaper/staging/reaper.db")
    assert loaded.origins["queue.url"] == "default, in the home directory, of the profile staging"
    assert listen_address(None, environ, profile) == ("h", 3)
    assert next(settings_lines(loaded)).text == f"{home / 'staging.toml'}, of the profile staging"
    for variable in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        assert locate_state(environ | {variable: "/s"}, profile)[0].name == "staging"


def test_a_profile_and_a_file_exclude_each_other(home: Path, environ: dict[str, str]) -> None:
    write(home / "staging.toml", 1)
    profiled = environ | {"REAPER_PROFILE": "staging"}
    with pytest.raises(UsageError, match=r"leave one of them out$"):
        find_config("x.toml", environ, "staging")
    with pytest.raises(UsageError, match=r"leave one of them out \(REAPER_PROFILE is set\)$"):
        find_config("x.toml", profiled)
    with pytest.raises(ConfigError, match=r"^REAPER_CONFIG and REAPER_PROFILE both name a settings file: unset one"):
        find_config(None, profiled | {"REAPER_CONFIG": "/x.toml"})
    assert find_config(None, environ | {"REAPER_CONFIG": "/x.toml"}, "staging").used == str(home / "staging.toml")


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden", "a.b", "-a", "", "reaper", "x" * 65, "ü", "a b", "a\n"])
def test_other_names_are_no_profiles(name: str) -> None:
    with pytest.raises(UsageError, match=r"^--profile: .* names no profile"):
        profile_of(name, {})
    if name:
        with pytest.raises(ConfigError, match=r"^REAPER_PROFILE: .* names no profile"):
            profile_of(None, {"REAPER_PROFILE": name})


def test_names_of_profiles() -> None:
    for name in ("staging", "Prod-2", "7", "a_b", "x" * 64):
        assert profile_of(name, {"REAPER_PROFILE": "other"}) == name
    assert profile_of(None, {"REAPER_PROFILE": ""}) is None


@pytest.mark.parametrize(
    ("words", "code"),
    [("status --profile staging", 78), ("status --profile staging --config x", 2), ("status --profile ../x", 2)],
)
def test_the_command_line_has_profiles(
    words: str, code: int, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.setenv("HOME", environ["HOME"])
    assert main.dispatch(words.split()) == code

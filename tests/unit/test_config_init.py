"""`reaper config init`: the file is where it will be found, private, loadable, and never one that was there."""

from __future__ import annotations

import errno
import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from reaper.cli import main
from reaper.cli.commands import config_init
from reaper.settings import config_file
from reaper.settings.load import load
from reaper.settings.reference import setting_specs
from reaper.settings.starter import VARIANTS, starter_toml


@pytest.fixture(autouse=True)
def uid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let nothing of this machine count: neither its user, who may be root, nor its settings."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(config_file, "DEFAULT_CONFIG", str(tmp_path / "etc/reaper/reaper.toml"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for variable in ("REAPER_CONFIG", "REAPER_PROFILE"):
        monkeypatch.delenv(variable, raising=False)


def as_root(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(home))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def umask() -> int:
    os.umask(mask := os.umask(0o022))
    return mask


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_loads_as_it_is_and_with_every_key(variant: str, tmp_path: Path) -> None:
    file = tmp_path / "reaper.toml"
    file.write_text(starter_toml(variant))
    live = load(file, {}, {"HOME": "/h"})
    assert live.warnings == ()
    for key, origin in live.origins.items():
        if origin.startswith("file"):
            section, _, name = key.partition(".")
            value = getattr(getattr(live.settings, section), name)
            assert value != setting_specs()[key].default, f"{key} has its default: it belongs behind a #"
    file.write_text(re.sub(r"^#(?=[a-z_]+ = )", "", starter_toml(variant), flags=re.MULTILINE))
    assert len(load(file, {}, {"HOME": "/h"}).origins) == len(setting_specs())
    assert max(map(len, starter_toml(variant).splitlines())) <= 120


def test_it_writes_where_the_file_is_found_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config/reaper/reaper.toml"
    assert main.dispatch(["config", "init"]) == 0
    assert capsys.readouterr() == (
        f"wrote {path}, and beside it reaper.schema.json, by which editors check it\n"
        "next: edit it, then: reaper check\n",
        "",
    )
    assert load(None, {}).config_path == path
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    first, body = path.read_text().split("\n", 1)
    assert body == starter_toml("daemon")
    schema = path.parent / first.removeprefix("#:schema ./")
    assert json.loads(schema.read_text())["title"] == "reaper.toml"
    assert mode(schema) == 0o644 & ~umask()
    path.write_text("mine")
    assert main.dispatch(["config", "init", "once"]) == 2
    assert capsys.readouterr().err.startswith(f"reaper: {path} exists and stays as it is; ")
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "variables", "root", "expected", "then"),
    [
        (["sidecar", "--config", "{}/my own.toml"], {}, False, "my own.toml", "check --config '{}/my own.toml'"),
        ([], {"REAPER_CONFIG": "{}/named.toml"}, True, "named.toml", "check"),
        (["--profile", "staging"], {}, False, "config/reaper/staging.toml", "check --profile staging"),
        ([], {"REAPER_PROFILE": "staging"}, False, "config/reaper/staging.toml", "check"),
        (["discovery"], {}, True, "etc/reaper/reaper.toml", "sessions"),
        ([], {"XDG_CONFIG_HOME": "{}/of-root"}, True, "of-root/reaper/reaper.toml", "check"),
        (["--profile", "staging"], {}, True, "etc/reaper/staging.toml", "check --profile staging"),
    ],
)
def test_each_place(
    words: list[str], variables: dict[str, str], root: bool, expected: str, then: str,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if root:
        as_root(monkeypatch, tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert main.dispatch(["config", "init", *(word.format(tmp_path) for word in words), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "written": f"{tmp_path}/{expected}",
        "schema": str((tmp_path / expected).parent / "reaper.schema.json"),
        "next": f"reaper {then.format(tmp_path)}",
    }


@pytest.mark.parametrize("words", [["-"], ["once", "-"], ["--stdout"], ["once", "--stdout"]])
def test_it_prints_instead(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["config", "init", *words]) == 0
    assert capsys.readouterr() == (starter_toml("once" if "once" in words else "daemon"), "")
    assert list(tmp_path.iterdir()) == []


def test_it_says_which_file_hides_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user, machine = tmp_path / "config/reaper/reaper.toml", tmp_path / "etc/reaper/reaper.toml"
    machine.parent.mkdir(parents=True)
    machine.touch()
    assert main.dispatch(["config", "init"]) == 0
    assert capsys.readouterr().err == f"reaper: it hides {machine}, which this user's commands read until now\n"
    machine.unlink()
    as_root(monkeypatch, tmp_path)
    (tmp_path / "config").rename(tmp_path / ".config")
    user = tmp_path / ".config/reaper/reaper.toml"
    assert main.dispatch(["config", "init"]) == 0
    assert capsys.readouterr().err == (
        f"reaper: the service's user must be able to read it: chown root:reaper {machine} && chmod 0640 {machine}\n"
        f"reaper: it is not read by this user, whose own {user} hides it\n"
    )


def test_what_cannot_be_written_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config"
    config.touch()
    assert main.dispatch(["config", "init"]) == 78
    fault = f"reaper: the directory {config}/reaper cannot be created: Not a directory\n"
    assert capsys.readouterr().err == fault
    config.unlink()

    def full(path: str, flags: int, mode: int = 0o777, **more: object) -> int:
        os_open(path, flags, mode)
        return os_open("/dev/full", os.O_WRONLY)

    os_open = os.open
    monkeypatch.setattr(config_init.os, "open", full)  # type: ignore[attr-defined]
    assert main.dispatch(["config", "init"]) == 78
    monkeypatch.undo()
    path = config / "reaper/reaper.toml"
    assert capsys.readouterr().err == f"reaper: {path} cannot be written: {os.strerror(errno.ENOSPC)}\n"
    assert not path.exists()


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "config/reaper"
    folder.mkdir(parents=True)
    (folder / "reaper.toml").symlink_to(tmp_path / "elsewhere")
    assert main.dispatch(["config", "init"]) == 2
    assert not (tmp_path / "elsewhere").exists()


def test_the_examples_are_toml() -> None:
    for variant in VARIANTS:
        assert set(tomllib.loads(starter_toml(variant))) <= {key.partition(".")[0] for key in setting_specs()}


@pytest.mark.parametrize("words", [["config", "--help"], ["config", "init", "--help"]])
def test_the_help_says_where_the_file_of_root_goes(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(words) == 0
    assert "as root to /etc/reaper" in " ".join(capsys.readouterr().out.split())

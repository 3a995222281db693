"""`reaper systemd show`: the shipped files, each where it belongs, with the path of the reaper that prints them."""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import pytest

import reaper
from reaper.cli import main
from reaper.cli.commands import systemd
from reaper.cli.commands.systemd import DESTINATIONS, UNITS, USUAL_PROGRAM, files_folder, program_path, unit_text
from reaper.core.errors import ReaperError

SHIPPED = Path(reaper.__file__).parents[1] / "systemd"


def program(folder: Path, mode: int = 0o755) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reaper").touch(mode)
    return folder / "reaper"


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command be the one that docs/systemd.md installs."""
    monkeypatch.setattr(systemd, "program_path", lambda _: USUAL_PROGRAM)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")


@pytest.mark.usefixtures("usual")
def test_the_units_are_printed_below_the_paths_where_they_belong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["systemd", "show"]) == 0
    out, err = capsys.readouterr()
    parts = re.split(r"^# (/etc/\S+)\n", out, flags=re.MULTILINE)
    assert parts[0] == ""
    assert parts[1::2] == [f"/etc/systemd/system/{name}" for name in UNITS]
    assert [text.rstrip("\n") for text in parts[2::2]] == [(SHIPPED / name).read_text().rstrip("\n") for name in UNITS]
    assert "reaper systemd show NAME > PATH" in err.splitlines()[0]
    assert "/etc/sysusers.d/reaper.conf" in err.splitlines()[1]
    assert "systemctl enable --now reaper" in err.splitlines()[1]
    assert "the services cannot start" not in out


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("name", DESTINATIONS)
def test_one_file_is_printed_byte_by_byte(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["systemd", "show", name]) == 0
    file = SHIPPED / name if (SHIPPED / name).exists() else SHIPPED / "reaper.service.d" / f"{name}.example"
    assert capsys.readouterr() == (file.read_text(), "")


@pytest.mark.usefixtures("usual")
def test_an_interpreter_that_the_services_do_not_see_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program is a script: uv and pyenv keep its interpreter in a home, and an environment in /opt links to it."""
    monkeypatch.setattr(sys, "executable", "/root/.local/share/uv/python/bin/python3.11")
    assert main.dispatch(["systemd", "show", "reaper.service"]) == 0
    assert "the services cannot start /root/.local/share/uv/python/bin/python3.11" in capsys.readouterr().err


def test_every_file_of_the_folder_can_be_printed() -> None:
    files = {path.name.removesuffix(".example") for path in SHIPPED.rglob("*") if path.is_file()}
    assert files == DESTINATIONS.keys()


def test_an_unknown_name_is_a_usage_error_that_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["systemd", "show", "reaper.servce"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"none of {', '.join(DESTINATIONS)}. Did you mean reaper.service?" in err


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/srv/reaper-1.0_x/bin/reaper", "/srv/reaper-1.0_x/bin/reaper"),
        ("/srv/rea per/bin/reaper", '"/srv/rea per/bin/reaper"'),
        ("/srv/a%b/bin/reaper", '"/srv/a%%b/bin/reaper"'),
    ],
)
@pytest.mark.parametrize("name", ["reaper.service", "reaper-once.service"])
def test_the_services_start_the_reaper_that_prints_them(path: str, word: str, name: str) -> None:
    text = unit_text(SHIPPED, name, path)
    assert USUAL_PROGRAM not in text
    assert len(re.findall(rf"^ExecStart={re.escape(word)} (run|once .*)$", text, flags=re.MULTILINE)) == 1
    assert text.replace(word, USUAL_PROGRAM) == (SHIPPED / name).read_text()


@pytest.mark.parametrize("folder", ["/home/ann/.local/bin", "/root/venv/bin", "/tmp/venv/bin", "/var/tmp/venv/bin"])
def test_a_program_that_the_services_do_not_see_is_a_warning(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(systemd, "program_path", lambda _: f"{folder}/reaper")
    assert main.dispatch(["systemd", "show", "reaper.service"]) == 0
    out, err = capsys.readouterr()
    assert f"ExecStart={folder}/reaper run" in out
    assert f"the services cannot start {folder}/reaper: " in err
    assert "/opt/reaper/bin/reaper systemd show" in err
    first, _, unit = out.partition("\n\n")
    assert first.startswith(f"# the services cannot start {folder}/reaper: "), "a pager shows the beginning"
    assert "\n" not in first
    assert unit == unit_text(SHIPPED, "reaper.service", f"{folder}/reaper")
    assert ("ProtectHome=true" in err) == folder.startswith(("/home", "/root"))
    assert re.search(rf"^{'ProtectHome' if 'Home' in err else 'PrivateTmp'}=true$", out, flags=re.MULTILINE)
    assert main.dispatch(["systemd", "show", "reaper-once.timer"]) == 0
    assert capsys.readouterr().err == "", "the timer starts no program"


@pytest.mark.parametrize(
    "path", ['/srv/a"b/bin/reaper', "/srv/a'b/bin/reaper", "/srv/a\\b/bin/reaper", "/srv/a\nb/bin/reaper"]
)
def test_a_path_that_systemd_refuses_is_a_warning(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(systemd, "program_path", lambda _: path)
    assert main.dispatch(["systemd", "show", "reaper.service"]) == 0
    out, err = capsys.readouterr()
    assert "systemd takes no quote, backslash or control character" in err
    assert "systemd takes no quote" in out.partition("\n")[0], "a line of its own, whatever the path"


def test_the_program_is_the_one_that_was_invoked_links_resolved(tmp_path: Path) -> None:
    real = program(tmp_path / "venv/bin")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/reaper").symlink_to(real)
    assert program_path(str(tmp_path / "bin/reaper")) == str(real)
    assert program_path(str(real)) == str(real)


def test_the_program_is_else_the_one_beside_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "scripts"
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(scripts))
    assert program_path("/x/reaper/__main__.py") == USUAL_PROGRAM
    program(scripts, 0o644)
    assert program_path("reaper") == USUAL_PROGRAM, "it cannot be executed"
    (scripts / "reaper").chmod(0o755)
    assert program_path("/x/reaper/__main__.py") == str(scripts / "reaper")


@pytest.mark.parametrize(
    "package", ["lib/python3.11/site-packages/reaper", "lib/python3/dist-packages/reaper", "reaper"]
)
def test_the_files_are_found_below_the_prefix(package: str, tmp_path: Path) -> None:
    (tmp_path / "share/reaper/systemd").mkdir(parents=True)
    assert files_folder(tmp_path / package) == tmp_path / "share/reaper/systemd"


def test_a_checkout_has_its_own_files_whatever_lies_above_it(tmp_path: Path) -> None:
    (tmp_path / "share/reaper/systemd").mkdir(parents=True)
    (tmp_path / "clone/systemd").mkdir(parents=True)
    (tmp_path / "clone/pyproject.toml").touch()
    assert files_folder(tmp_path / "clone/reaper") == tmp_path / "clone/systemd"


def test_an_installation_without_the_files_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ReaperError, match="share/reaper/systemd"):
        files_folder(tmp_path / "a/b/c/d/e/f/reaper")
    monkeypatch.setattr(systemd, "files_folder", lambda _: tmp_path)
    monkeypatch.setattr(sys, "argv", ["/x/__main__.py"])
    assert main.dispatch(["systemd", "show"]) == 1
    assert capsys.readouterr().err == f"reaper: {tmp_path}/reaper.service cannot be read: No such file or directory\n"

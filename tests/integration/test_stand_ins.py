"""FIFOs, devices, directories and huge files in place of every file that reaper reads: told at once."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from reaper.api.credentials import Credentials
from reaper.api.trust import Trust
from reaper.core import files
from reaper.core.errors import ConfigError
from reaper.core.model import SessionId
from reaper.intake.discovery.owners import OwnersSource
from reaper.intake.discovery.protection_file import Protector
from reaper.settings.config_file import read_toml

KINDS: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "directory": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "larger than": lambda path: path.write_bytes(b" " * (17 * 1024 * 1024)),
}


def told_by_protect(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        Protector(file=path).now()
    return str(caught.value)


def told_by_owners(path: Path) -> str:
    told: list[str] = []
    assert anyio.run(OwnersSource(file=path, on_failure=told.append).read) is None
    return told[0]


def told_by_token(path: Path) -> str:
    held = Credentials(path, None)
    assert held.current.value is None
    return held.current.missing_reason or ""


def told_by_ca(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        Trust(str(path), print)
    return str(caught.value)


def told_by_config(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_toml(str(path))
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tell", [told_by_protect, told_by_owners, told_by_token, told_by_ca, told_by_config])
def test_what_is_no_usable_file_is_told_at_once(tmp_path: Path, tell: Callable[[Path], str], kind: str) -> None:
    path = tmp_path / "file"
    KINDS[kind](path)
    began = time.monotonic()
    sentence = tell(path)
    assert time.monotonic() - began < 2.0
    assert kind in sentence, sentence
    assert str(path) in sentence


def test_what_comes_in_place_of_a_good_file_changes_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "protect"
    path.write_text("env_1\n")
    held = Protector(file=path, on_failure=told.append)
    assert held.now().of_id(SessionId("env_1"))
    path.unlink()
    os.mkfifo(path)
    assert held.now().of_id(SessionId("env_1"))
    assert held.now().of_id(SessionId("env_1"))
    assert len(told) == 1
    assert "it is a FIFO" in told[0]


def test_a_bundle_with_comments_of_any_bytes_is_trusted(tmp_path: Path) -> None:
    import certifi

    bundle = tmp_path / "ca.pem"
    bundle.write_bytes("# Autorité de certification\n".encode("latin-1") + Path(certifi.where()).read_bytes())

    async def current() -> ssl.SSLContext:
        return await Trust(str(bundle), print).source()()

    context = asyncio.run(current())
    assert len(context.get_ca_certs()) > 50


def test_a_link_is_followed_but_not_in_a_directory_that_was_opened(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    assert files.read_regular(tmp_path / "link", 10) == b"x"
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="it is a symbolic link"):
            files.open_regular("link", at=directory)
    finally:
        os.close(directory)

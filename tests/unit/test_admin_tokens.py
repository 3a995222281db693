"""Who may act on the web page: the file, the comparison, the limit on wrong tokens."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

import pytest

from reaper.app.console.tokens import MAX_FAILURES, WITHIN_S, AdminTokens, Stranger, read_persons
from reaper.core.errors import ConfigError

ANN, BOB = "a" * 32, "b" * 20 + "~!=:/"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "admins", f"# operators\n\nann  {ANN}\r\nbob@night\t{BOB}\nann {'c' * 16}\n")


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


class Clock:
    now = 1000.0


@pytest.fixture
def tokens() -> tuple[AdminTokens, Clock]:
    clock = Clock()
    return AdminTokens(lambda: clock.now), clock


def test_a_person_may_have_several_tokens_and_no_token_is_kept(file: Path) -> None:
    persons = read_persons(file)
    assert sorted(persons.values()) == ["ann", "ann", "bob@night"]
    assert ANN not in repr(persons)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ann", "line 1 is not `NAME TOKEN`"),
        (f"\nann {ANN} more", "line 2 is not `NAME TOKEN`"),
        (f"a/b {ANN}", "line 1 is not `NAME TOKEN`"),
        (f"ann tokén{ANN}", "line 1 is not `NAME TOKEN`"),
        (f"Reaper {ANN}", "which is taken"),
        ("ann short", "openssl rand"),
        (f"ann archal_ws_{ANN}", "a token of the API"),
        (f"ann {ANN}\nbob {ANN}", "line 2 has the token of another person"),
        ("# nobody\n", "names nobody"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_repeats_no_token(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_persons(written(tmp_path / "admins", text))
    assert words in str(caught.value)
    assert ANN not in str(caught.value)
    assert "short" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o601])
def test_a_file_that_others_may_use_is_refused_with_the_command_that_helps(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ConfigError, match=f"has mode {mode:04o}: others may use it; do: chmod 600 {file}"):
        read_persons(file)
    file.chmod(0o400)
    assert read_persons(file)


def test_a_file_that_is_missing_or_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("none", "No such file"), ("pipe", "it is a FIFO")):
        with pytest.raises(ConfigError, match=words):
            read_persons(tmp_path / name)


@pytest.mark.parametrize(
    ("header", "who"),
    [
        (f"Bearer {ANN}", "ann"),
        (f"bearer   {BOB} ", "bob@night"),
        (f"Bearer {ANN[:-1]}", 401),
        (f"Bearer {ANN}a", 401),
        (f"Bearer {ANN[:1]}", 401),
        (f"Bearer {BOB.upper()}", 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        (f"Basic {ANN}", 401),
        (ANN, 401),
        (None, 401),
        ("Bearer ann", 401),
    ],
)
def test_the_whole_token_in_the_header_names_the_person(
    file: Path, tokens: tuple[AdminTokens, Clock], header: str | None, who: str | int
) -> None:
    found = tokens[0].person(file, header)
    assert (found.status if isinstance(found, Stranger) else found) == who


def test_five_wrong_tokens_in_a_minute_and_no_token_is_looked_at(file: Path, tokens: tuple[AdminTokens, Clock]) -> None:
    of, clock = tokens
    for number in range(MAX_FAILURES):
        assert of.person(file, f"Bearer {number}" * 9).status == 401  # type: ignore[union-attr]
        clock.now += 1
    refused = of.person(file, f"Bearer {ANN}")
    assert isinstance(refused, Stranger)
    assert (refused.status, refused.wait_s) == (429, WITHIN_S - MAX_FAILURES)
    clock.now += WITHIN_S - MAX_FAILURES
    assert of.person(file, f"Bearer {ANN}") == "ann"
    of.person(file, "Bearer wrong")
    assert of.person(file, f"Bearer {ANN}").status == 429, "four of the five are still within the minute"  # type: ignore[union-attr]


def test_a_request_without_a_token_is_no_guess(file: Path, tokens: tuple[AdminTokens, Clock]) -> None:
    for _ in range(2 * MAX_FAILURES):
        tokens[0].person(file, None)
    assert tokens[0].person(file, f"Bearer {ANN}") == "ann"


def test_the_file_is_read_again_when_it_changes_and_no_more_often(
    file: Path, tokens: tuple[AdminTokens, Clock]
) -> None:
    of, _ = tokens
    assert of.person(file, f"Bearer {ANN}") == "ann"
    written(file, f"eve {BOB}x\n")
    assert isinstance(of.person(file, f"Bearer {ANN}"), Stranger)
    assert of.person(file, f"Bearer {BOB}x") == "eve"
    file.chmod(0o644)
    for _ in range(2):
        with pytest.raises(ConfigError):
            of.person(file, f"Bearer {BOB}x")
    file.unlink()
    with pytest.raises(ConfigError):
        of.person(file, f"Bearer {BOB}x")
    written(file, f"ann {ANN}\n")
    assert of.person(file, f"Bearer {ANN}") == "ann"


def test_every_token_is_compared_in_constant_time_also_after_the_right_one(
    file: Path, tokens: tuple[AdminTokens, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def seen(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", seen)
    assert tokens[0].person(file, f"Bearer {ANN}") == "ann"
    assert len(compared) == 3
    assert {len(side) for pair in compared for side in pair} == {32}

"""Two URLs of one place are one address; two places never are."""

from __future__ import annotations

import pytest

from reaper.core.classify import Final, Proven, classify
from reaper.core.gate import Gate
from reaper.core.model import Answered, Outcome, PauseReason, SessionId
from reaper.core.rate_limit import RateLimit
from reaper.core.target import OtherTarget, address_of, compare_address
from reaper.core.urls import http_url

ONE = SessionId("env_1")


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        (
            ["https://archal.ai", "HTTPS://Archal.AI", "https://archal.ai:443/", "https://archal.ai.", "https://archal.ai:"],
            "https://archal.ai",
        ),
        (["http://archal.ai", "http://archal.ai:80", "http://ARCHAL.ai.:80//"], "http://archal.ai"),
        (["https://archal.ai:80"], "https://archal.ai:80"),
        (["http://archal.ai:443"], "http://archal.ai:443"),
        (["https://archal.ai/v2", "https://archal.ai/v2/"], "https://archal.ai/v2"),
        (["https://archal.ai/V2"], "https://archal.ai/V2"),
        (["http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080/"], "http://[::1]:8080"),
        (["https://[2001:DB8::A]"], "https://[2001:db8::a]"),
        (["https://[v1.a:b]"], "https://[v1.a:b]"),  # no IPv6, but a URL all the same (RFC 3986)
        (["https://[fe80::1%25eth0]", "https://[FE80::1%25eth0]"], "https://[fe80::1%25eth0]"),
        (["https://bücher.example", "https://BÜCHER.Example.", "https://xn--bcher-kva.example"], "https://xn--bcher-kva.example"),
        (["https://user:secret@archal.ai"], "https://archal.ai"),
    ],
)  # fmt: skip
def test_urls_of_one_place_have_one_address(urls: list[str], address: str) -> None:
    assert {address_of(url) for url in urls} == {address}
    assert address_of(address) == address, "an address is its own"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://archal.ai", "http://archal.ai"),
        ("https://archal.ai", "https://archal.ai:8443"),
        ("https://archal.ai", "https://staging.archal.ai"),
        ("https://archal.ai", "https://archal.ai/staging"),
        ("https://archal.ai/a", "https://archal.ai/A"),
        ("http://localhost:80", "http://127.0.0.1:80"),
        ("https://faß.example", "https://fass.example"),  # RFC 3490 made one name of them, the DNS keeps two
        ("https://[::1]", "https://[::2]"),
    ],
)
def test_two_places_have_two_addresses(one: str, other: str) -> None:
    assert address_of(http_url(one)) != address_of(http_url(other))
    assert compare_address(address_of(one), address_of(other)) == OtherTarget(address_of(other), address_of(one))


def test_an_address_agrees_with_itself_and_with_a_queue_that_has_none() -> None:
    assert compare_address("https://archal.ai", None) is None
    assert compare_address("https://archal.ai", "https://archal.ai") is None
    assert isinstance(compare_address("https://archal.ai", ""), OtherTarget), "an emptied value is no address"
    detail = OtherTarget("https://a\x1b[2J.example", "https://b.example").detail
    assert "\x1b" not in detail
    assert "https://b.example" in detail
    assert "--accept-target" in detail


@pytest.mark.parametrize("verify", [True, False])
def test_another_address_holds_up_every_send_and_every_read_until_it_agrees(verify: bool) -> None:
    gate = Gate(4, verify=verify)
    gate.observe_read(0.0, Proven(), jitter=0.5)
    assert gate.start(0.0)
    gate.hold_target(1.0, "elsewhere")
    gate.observe(1.5, ONE, Final(Outcome.STOPPED), began=0.0, jitter=0.5)
    gate.observe_read(1.6, Proven(), jitter=0.5)
    assert (gate.start(2.0), gate.admit(2.0).allowed, gate.admit(2.0).why) == (False, 0, "wrong_target")
    assert (gate.read_due(), gate.may_send) == (None, False)
    gate.reconfigure(2.0, 8, RateLimit(0.0), verify=verify, adaptive=False)
    assert gate.admit(2.0).allowed == 0, "other settings change nothing in it"
    gate.hold_target(3.0, "elsewhere")
    (pause,) = gate.pauses(3.0)
    assert (pause.reason, pause.since, pause.detail, pause.needs_operator) == ("wrong_target", 1.0, "elsewhere", True)
    gate.hold_target(4.0, None)
    assert gate.pauses(4.0) == ()
    assert gate.read_due() == (4.0 if verify else None), "the API shows itself anew"
    gate.observe_read(4.1, Proven(), jitter=0.5)
    assert gate.admit(4.1).allowed == 8


def test_a_hold_is_the_one_wrong_target_that_is_shown() -> None:
    gate = Gate(4)
    gate.observe_read(0.0, classify(Answered(404, b"<html>", 0.0)), jitter=0.5)  # type: ignore[arg-type]
    gate.hold_target(1.0, "elsewhere")
    assert [(pause.reason, pause.detail) for pause in gate.pauses(1.0)] == [(PauseReason.WRONG_TARGET, "elsewhere")]
    gate.observe_read(1.1, OtherTarget("https://a", "https://b"), jitter=0.5)
    assert "https://a" in gate.pauses(1.1)[0].detail


def test_only_an_answer_from_the_present_address_is_its_proof() -> None:
    gate = Gate(4, verify=False)
    gate.start(0.0), gate.start(0.0), gate.start(0.0)
    gate.observe(0.5, ONE, Final(Outcome.ALREADY_GONE), began=0.0, jitter=0.5)
    assert not gate.has_proof, "every server has a 404"
    gate.target_changed(1.0, 1, moved=("http://a", "http://b"))
    gate.observe(1.5, ONE, Final(Outcome.STOPPED), began=0.0, jitter=0.5)
    assert not gate.has_proof, "that came from the address before"
    gate.start(2.0)
    gate.observe(2.5, ONE, Final(Outcome.STOPPED), began=2.0, jitter=0.5)
    assert gate.has_proof

"""The head of a request to the health listener, and whom its Host line names."""

from __future__ import annotations

import pytest

from reaper.telemetry.http.request import Request, is_ours, read_head


@pytest.mark.parametrize(
    ("head", "request_"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: a:1\r\n\r\n", Request("GET", "/livez", "a:1")),
        (b"GET /?x=/y HTTP/1.0\n\n", Request("GET", "/", None, "x=/y")),
        (b"HEAD / HTTP/1.1\r\nhost:\t[::1]:9464 \r\n\r\n", Request("HEAD", "/", "[::1]:9464")),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", Request("GET", "/", None)),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", None),
        (b"POST / HTTP/1.1\r\nAuthorization: a\r\nauthorization: b\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nAccept: a\r\nAccept: b\r\n\r\n", Request("GET", "/", None)),
        (b"GET / HTTP/2\r\n\r\n", None),
        (b"GET /\r\n\r\n", None),
        (b"GET  / HTTP/1.1\r\n\r\n", None),
        (b"\x16\x03\x01\x02\n\n", None),
        (b"\r\n\r\n", None),
    ],
)
def test_heads(head: bytes, request_: Request | None) -> None:
    assert read_head(head) == request_


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:9464", "localhost", "LOCALHOST.:80", "reaper.localhost:1", "[::1]:9464", "10.1.2.3:9464",
     "[fe80::1]", "watch.example:9464", "watch.example"],
)  # fmt: skip
def test_hosts_that_no_stranger_can_point_here(host: str) -> None:
    assert is_ours(host, "Watch.example")


@pytest.mark.parametrize(
    "host",
    [None, "", ":9464", "evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example",
     "notlocalhost", "127.0.0.1@evil.example", "[evil.example]", "[127.0.0.1]", "::1", "127.1", "0x7f000001",
     "2130706433", "localhost:80:80", "watch.example.evil.example", "[::1", "127.0.0.1 evil.example"],
)  # fmt: skip
def test_hosts_that_may_be_a_strangers(host: str | None) -> None:
    assert not is_ours(host, "watch.example")


def test_listening_everywhere_names_nobody() -> None:
    assert is_ours("[::]:9464", "::")
    assert not is_ours("reaper.example", "::")


def test_the_fields_of_a_query() -> None:
    assert Request("GET", "/", None, "state=dead&source=a%2Fb+c&page=2&state=ready&empty=").fields == {
        "state": "ready", "source": "a/b c", "page": "2",
    }  # fmt: skip
    assert Request("GET", "/", None, "&".join(f"a{number}=1" for number in range(21))).fields == {}

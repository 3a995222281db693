"""One receiver of Apprise and one ping, over real sockets: taken, refused, away or hanging."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import apprise
import pytest

from reaper.core.notification_texts import Message
from reaper.telemetry.notifications import apprise_receiver, mailbox
from reaper.telemetry.notifications.apprise_plugin import open_plugin
from reaper.telemetry.notifications.apprise_receiver import AppriseReceiver
from reaper.telemetry.notifications.mailbox import NotSentError
from reaper.telemetry.notifications.pinger import Ping, Pinger
from tests.support.receiver import StandInReceiver

pytestmark = pytest.mark.anyio

MESSAGE = Message("reaper: a title", "the body", "warning")
AWAY = "json://127.0.0.1:9/hidden-path"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "AGAIN_S", (0.01, 0.01))


def fault_of(call: Callable[[], object]) -> NotSentError:
    with pytest.raises(NotSentError) as caught:
        call()
    assert "hidden" not in str(caught.value)
    return caught.value


def send(url: str) -> None:
    AppriseReceiver(url, 1).prepare()(MESSAGE)


def test_a_message_arrives() -> None:
    with StandInReceiver() as receiver:
        send(receiver.url)
        (message,) = receiver.messages
    assert message["title"] == MESSAGE.title
    assert message["message"] == MESSAGE.body
    assert message["type"] == "warning"


@pytest.mark.parametrize("status", [500, 403])
def test_a_refusal_is_named_and_no_secret_is(status: int) -> None:
    with StandInReceiver(status) as receiver:
        fault = fault_of(lambda: send(receiver.url))
    assert str(status) in str(fault)
    assert fault.again
    assert not fault.doubtful
    assert not logging.getLogger("apprise").propagate, "its own log names tokens"


def test_a_receiver_that_is_away_is_tried_again() -> None:
    fault = fault_of(lambda: send(AWAY))
    assert "onnection" in str(fault)
    assert fault.again


def test_a_receiver_that_hangs_may_have_the_message_and_does_not_get_it_twice() -> None:
    with StandInReceiver(0) as receiver:
        fault = fault_of(lambda: send(f"{receiver.url}?rto=0.3"))
        assert fault.doubtful
        assert not fault.again
        assert len(receiver.bodies) == 1


@pytest.mark.parametrize("url", ["bogus://hidden-token", "slack://hidden-token"])
def test_a_url_that_apprise_does_not_take_is_said(url: str) -> None:
    fault = fault_of(lambda: send(url))
    assert "Apprise" in str(fault)
    assert not fault.again


def shown(plugin: Any) -> object:
    return None if plugin is None else plugin.url()


@pytest.mark.parametrize(
    "url",
    [
        "json://a",
        "ntfys://topic",
        "slack://TTTTTTTTT/BBBBBBBBB/cccccccccccccccccccccccc/#reaper",
        "mailtos://u:p@example.com?to=a@b.example",
        "pagerduty://aaaaaaaaaaaaaaaaaaaa@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "https://hooks.slack.com/services/TTTTTTTTT/BBBBBBBBB/cccccccccccccccccccccccc",
        "slack://no-token",
        "bogus://a",
    ],
)
def test_one_plugin_alone_is_the_one_that_apprise_finds_among_all(url: str) -> None:
    alone, found = open_plugin(url), apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(app_id="reaper"))
    assert type(alone) is type(found)
    assert shown(alone) == shown(found)


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    fault = fault_of(lambda: send(AWAY))
    assert "pip install 'archal-reaper[notify]'" in str(fault)
    assert not apprise_receiver.is_installed()


def test_a_reason_of_the_library_has_no_part_of_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = AppriseReceiver("json://hiddenuser:hiddenpass@127.0.0.1:9/hiddenpath?token=hiddenquery", 1)
    sending = receiver.prepare()

    def notify(*_: object, **__: object) -> bool:
        text = "no answer of hiddenuser:hiddenpass, hiddenpath, token=hiddenquery"
        logging.getLogger("apprise").warning(text)
        threading.Thread(target=logging.getLogger("apprise").warning, args=("another receiver's",)).start()
        return False

    monkeypatch.setattr("apprise.plugins.custom_json.NotifyJSON.notify", notify)
    assert str(fault_of(lambda: sending(MESSAGE))).startswith("no answer of ***")


def test_a_plugin_that_fails_is_named_by_its_kind_of_error(monkeypatch: pytest.MonkeyPatch) -> None:
    sending = AppriseReceiver(AWAY, 1).prepare()

    def notify(*_: object, **__: object) -> bool:
        raise KeyError("hidden")

    monkeypatch.setattr("apprise.plugins.custom_json.NotifyJSON.notify", notify)
    assert str(fault_of(lambda: sending(MESSAGE))) == "Apprise failed: KeyError"


def test_a_ping_goes_to_the_address_and_a_bad_one_to_fail() -> None:
    with StandInReceiver() as monitor:
        for is_good in (True, False):
            Pinger(f"{monitor.ping_url}?create=1").prepare()(Ping(is_good, "exit 0"))
        assert monitor.paths == ["/hidden-uuid?create=1", "/hidden-uuid/fail?create=1"]
        assert monitor.bodies == [b"exit 0", b"exit 0"]


@pytest.mark.parametrize(("status", "words"), [(404, "it answered 404"), (302, "write the address that it leads to")])
def test_a_ping_that_is_refused_or_sent_elsewhere_is_said(status: int, words: str) -> None:
    with StandInReceiver(status) as monitor:
        fault = fault_of(lambda: Pinger(monitor.ping_url).prepare()(Ping(True, "")))
        assert words in str(fault)
        assert len(monitor.paths) == 1, "no redirect is followed"


def test_a_monitor_that_is_away_or_hangs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reaper.telemetry.notifications.pinger.TIMEOUT_S", 0.2)
    assert "refused" in str(fault_of(lambda: Pinger("http://127.0.0.1:9/hidden").prepare()(Ping(True, ""))))
    with StandInReceiver(0) as monitor:
        assert "no answer within 0.2 s" in str(fault_of(lambda: Pinger(monitor.ping_url).prepare()(Ping(True, ""))))

"""The account is pinned once, and another one is a wrong target."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import anyio
import pytest

from reaper.core import target
from reaper.core.account import KEY, Account, AccountUnknown, account_of, compare, read_account
from reaper.core.classify import Broken, Foreign, OtherAccount, Proven, ServerFault, Throttled, Unauthorized
from reaper.core.gate import Gate
from reaper.core.model import Answered, Failed, Fault, PauseReason, Reply, SessionId
from reaper.core.target import OtherTarget
from reaper.worker.identity import Identity
from tests.support.queues.memory import MemoryQueue
from tests.support.worker import LIST

pytestmark = pytest.mark.anyio


def me(user_id: object = "usr_1", status: int = 200, **more: object) -> Answered:
    return Answered(status, json.dumps({"userId": user_id, **more}).encode(), 0.0)


@dataclass(slots=True)
class FakeApi:
    whose: Reply
    listing: Reply = LIST
    asked: int = 0
    read: int = 0

    async def list_sessions(self) -> Reply:
        self.read += 1
        return self.listing

    async def whoami(self) -> Reply:
        self.asked += 1
        return self.whose

    async def get_session(self, session_id: SessionId, may_start: object = None) -> Reply:
        raise NotImplementedError

    async def stop(self, session_id: SessionId, may_start: object = None) -> Reply:
        raise NotImplementedError


@dataclass(slots=True)
class Events:
    said: list[str] = field(default_factory=list)

    def target_pinned(self, address: str) -> None:
        self.said.append(f"at {address}")

    def account_pinned(self, account: str) -> None:
        self.said.append(f"pinned {account}")

    def account_unknown(self, why: str) -> None:
        self.said.append(f"unknown {why}")


HOME, MOVED = "https://archal.ai", "https://staging.archal.ai"


def identity(api: FakeApi, queue: MemoryQueue, *, pin: bool = True, at: str = HOME) -> tuple[Identity, list[str]]:
    events = Events()
    return Identity(lambda: (api, at), queue, events, pin), events.said


async def test_the_first_account_is_pinned_and_the_same_one_passes() -> None:
    api, queue = FakeApi(me(email="a@example.org")), MemoryQueue(clock=anyio.current_time)
    one, said = identity(api, queue)
    assert isinstance(await one.verdict(), Proven)
    assert isinstance(await one.verdict(), Proven)
    assert said == ["pinned usr_1 (a@example.org)", f"at {HOME}"]
    assert read_account(await queue.read_value(KEY)) == Account("usr_1", "a@example.org")
    api.whose = me(email="renamed@example.org")
    assert isinstance(await one.verdict(), Proven), "an address may change, the account is the same"


@pytest.mark.parametrize("whose", [me("usr_2"), Answered(404, b'{"error": "x"}', 0.0), me(None)])
async def test_another_or_an_unknown_account_is_a_wrong_target(whose: Reply) -> None:
    queue = MemoryQueue(clock=anyio.current_time)
    await identity(FakeApi(me()), queue)[0].verdict()
    verdict = await identity(FakeApi(whose), queue)[0].verdict()
    assert isinstance(verdict, OtherAccount)
    assert verdict.pinned == "usr_1"
    gate = Gate(4)
    gate.observe_read(1.0, verdict, jitter=0.5)
    (pause,) = gate.pauses(1.0)
    assert pause.reason is PauseReason.WRONG_TARGET
    assert "usr_1" in pause.detail
    assert gate.admit(1.0).allowed == 0
    gate.observe_read(2.0, Proven(), jitter=0.5)
    assert gate.admit(2.0).allowed == 1, "a read that succeeds lets one probe start"


async def test_an_unknown_account_is_reported_once_and_not_pinned() -> None:
    queue = MemoryQueue(clock=anyio.current_time)
    one, said = identity(FakeApi(Answered(404, b"<html>", 0.0)), queue)
    for _ in range(3):
        assert isinstance(await one.verdict(), Proven)
    assert said == ["unknown /auth/me answered 404", f"at {HOME}"]
    assert await queue.read_value(KEY) is None


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Answered(502, b"", 0.0), ServerFault),
        (Answered(429, b"", 0.0, retry_after="3"), Throttled),
        (Failed(Fault.TIMEOUT, True, "late", 0.0), Broken),
        (Failed(Fault.NO_TOKEN, False, "none", 0.0), Unauthorized),
    ],
)
async def test_who_cannot_be_asked_now_proves_nothing(reply: Reply, kind: type) -> None:
    verdict = await identity(FakeApi(reply), MemoryQueue(clock=anyio.current_time))[0].verdict()
    assert isinstance(verdict, kind)


async def test_a_list_that_proves_nothing_is_not_followed_by_the_question() -> None:
    api = FakeApi(me(), listing=Answered(404, b"<html>", 0.0))
    assert isinstance(await identity(api, MemoryQueue(clock=anyio.current_time))[0].verdict(), Foreign)
    assert api.asked == 0


@pytest.mark.parametrize("during", ["comparison", "list"])
async def test_a_reload_during_the_read_has_it_made_at_the_new_api(
    during: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client that a reload replaces closes when nothing is in flight, and cannot be used after that."""
    old, new, queue = FakeApi(me("usr_1")), FakeApi(me("usr_1")), MemoryQueue(clock=anyio.current_time)
    now = [old]
    one = Identity(lambda: (now[0], HOME if now[0] is old else MOVED), queue, Events())
    owner, name = (queue, "read_value") if during == "comparison" else (FakeApi, "list_sessions")
    plain = getattr(owner, name)

    async def reloads(*args: str) -> object:
        result = await plain(*args)
        now[0] = new
        return result

    monkeypatch.setattr(owner, name, reloads)
    assert isinstance(await one.verdict(), Proven)
    assert (old.read, old.asked) == (0 if during == "comparison" else 1, 0)
    assert (new.read, new.asked) == (1, 1)
    assert await queue.read_value(target.KEY) == MOVED


async def test_a_reading_process_pins_nothing() -> None:
    queue = MemoryQueue(clock=anyio.current_time)
    assert isinstance(await identity(FakeApi(me()), queue, pin=False)[0].verdict(), Proven)
    assert await queue.read_value(KEY) is None


async def test_of_two_processes_that_pin_at_once_the_second_compares() -> None:
    queue = MemoryQueue(clock=anyio.current_time)
    read_value = queue.read_value
    seen = 0

    async def late(name: str) -> str | None:
        nonlocal seen
        seen += 1
        if seen == 1:  # between this reading and the pinning, another reaper pins
            text = await read_value(name)
            await queue.compare_and_set(KEY, Account("usr_other").to_text(), was=None)
            return text
        return await read_value(name)

    queue.read_value = late  # type: ignore[method-assign]
    assert isinstance(await identity(FakeApi(me()), queue)[0].verdict(), OtherAccount)


async def test_another_address_is_named_beside_the_queues_and_nothing_is_sent_to_it() -> None:
    """The account is the same there: only the address tells the two environments apart."""
    queue = MemoryQueue(clock=anyio.current_time)
    await identity(FakeApi(me()), queue)[0].verdict()
    elsewhere = FakeApi(me())
    moved, said = identity(elsewhere, queue, at=MOVED)
    assert await moved.read() == (None, OtherTarget(HOME, MOVED))
    assert await moved.compare(proven=True) == OtherTarget(HOME, MOVED)
    assert (elsewhere.read, elsewhere.asked, said) == (0, 0, [])
    assert await queue.read_value(target.KEY) == HOME
    await queue.compare_and_set(target.KEY, MOVED, was=HOME)
    assert isinstance(await moved.verdict(), Proven)


async def test_an_older_queue_gets_its_address_from_the_next_read_of_the_same_account() -> None:
    queue = MemoryQueue(clock=anyio.current_time)
    await queue.compare_and_set(KEY, Account("usr_1").to_text(), was=None)
    other, said = identity(FakeApi(me("usr_2")), queue, at=MOVED)
    assert isinstance(await other.verdict(), OtherAccount)
    assert (await queue.read_value(target.KEY), said) == (None, [])
    same, said = identity(FakeApi(me("usr_1")), queue)
    assert isinstance(await same.verdict(), Proven)
    assert (await queue.read_value(target.KEY), said) == (HOME, [f"at {HOME}"])


async def test_of_two_processes_that_pin_two_addresses_at_once_the_second_sends_nothing() -> None:
    queue = MemoryQueue(clock=anyio.current_time)
    api = FakeApi(me())
    slow, _ = identity(api, queue, at=MOVED)
    read_value = queue.read_value

    async def late(name: str) -> str | None:
        text = await read_value(name)
        if name == target.KEY and api.asked:
            queue.read_value = read_value  # type: ignore[method-assign]
            await queue.compare_and_set(target.KEY, HOME, was=None)
        return text

    queue.read_value = late  # type: ignore[method-assign]
    assert await slow.verdict() == OtherTarget(HOME, MOVED)


async def test_a_send_that_stopped_a_session_pins_the_address_where_no_read_is_allowed() -> None:
    queue = MemoryQueue(clock=anyio.current_time)
    api = FakeApi(me())
    one, said = identity(api, queue)
    assert await one.compare(proven=False) is None
    assert await queue.read_value(target.KEY) is None
    assert await one.compare(proven=True) is None
    assert (await queue.read_value(target.KEY), said, api.read) == (HOME, [f"at {HOME}"], 0)
    reader, _ = identity(api, MemoryQueue(clock=anyio.current_time), pin=False)
    assert await reader.compare(proven=True) is None
    assert await reader.queue.read_value(target.KEY) is None


async def test_an_account_that_was_accepted_elsewhere_is_noticed_without_a_read() -> None:
    queue = MemoryQueue(clock=anyio.current_time)
    api = FakeApi(me())
    one, _ = identity(api, queue)
    await one.verdict()
    assert await one.compare(proven=True) is None
    await queue.compare_and_set(KEY, Account("usr_2").to_text(), was=await queue.read_value(KEY))
    assert isinstance(await one.compare(proven=True), OtherAccount)
    assert api.read == 1


def test_a_text_without_an_account_is_none() -> None:
    for text in (None, "", "{", "[]", '{"userId": 7}', '{"userId": ""}', "[" * 100_000):
        assert read_account(text) is None
    assert account_of(Answered(401, b"{}", 0.0, token_generation=0)) == AccountUnknown("/auth/me answered 401")
    assert compare(Proven(), AccountUnknown("why"), None) == Proven()

"""Bugs of the messages to people and of the pings to a monitor."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

_UNIT = "tests/unit/test_notifications.py::"
_SOCKETS = "tests/integration/test_notifications.py::"
_RECEIVERS = "tests/integration/test_receivers.py::"

NOTIFY: tuple[Bug, ...] = (
    bug(
        "each-reaper-tells",
        "a reaper whose comparison in the queue failed sends the message all the same: ten reapers send ten",
        "reaper/app/notifier.py",
        "            if await queue.compare_and_set(KEY, to_text(state), was=text):\n",
        "            if await queue.compare_and_set(KEY, to_text(state), was=text) or messages:\n",
        fails="tests/contract/test_notifications.py::test_ten_reapers_tell_of_a_hold_and_of_its_end_once[sqlite]",
    ),
    bug(
        "told-before-the-change",
        "the message leaves before the queue keeps that it did: a reaper that is killed then has it sent twice",
        "reaper/app/notifier.py",
        "            if await queue.compare_and_set(KEY, to_text(state), was=text):\n"
        "                for each in messages:\n",
        "            for each in messages:\n"
        "                self._post(each)\n"
        "            if await queue.compare_and_set(KEY, to_text(state), was=text):\n"
        "                for each in ():\n",
        fails=_SOCKETS + "test_a_reaper_that_is_killed_between_change_and_message_loses_it_and_nobody_doubles_it",
    ),
    bug(
        "silence-is-an-end",
        "a reaper that has not spoken to the API yet says that the pause is over",
        "reaper/core/notifications.py",
        "            return facts.is_proven\n",
        "            return True\n",
        fails=(
            _UNIT + "test_what_a_reaper_cannot_see_is_not_over[seen0-blind0]",
            "tests/unit/test_notifier.py::test_a_pause_is_told_at_once_and_its_end_when_the_api_has_shown_itself",
        ),
    ),
    bug(
        "dead-letters-each",
        "each dead letter is a message of its own",
        "reaper/core/notifications.py",
        " and not _is_recent(before.notified_at, now, DEAD_REPEAT_S)",
        "",
        fails=_UNIT + "test_dead_letters_are_told_first_and_then_once_an_hour",
    ),
    bug(
        "hanging-receiver-twice",
        "a receiver that took a message and did not say so in time gets it again",
        "reaper/telemetry/notifications/mailbox.py",
        "        self.again = again and not doubtful\n",
        "        self.again = again\n",
        fails=_RECEIVERS + "test_a_receiver_that_hangs_may_have_the_message_and_does_not_get_it_twice",
    ),
    bug(
        "lost-for-good",
        "what reached nobody counts as told: a receiver that is away for a minute never hears of it",
        "reaper/core/notifications.py",
        "    return replace(state, conditions={**state.conditions, message.key: replace(one, delivered=False)})\n",
        "    return state\n",
        fails=_UNIT + "test_what_no_receiver_took_is_told_again_later",
    ),
    bug(
        "secret-in-a-reason",
        "what Apprise says of a failure is logged as it is, parts of the URL included",
        "reaper/telemetry/notifications/apprise_receiver.py",
        "        return sanitize(redacted(masked(text, self._secrets)))\n",
        "        return sanitize(redacted(text))\n",
        fails=_RECEIVERS + "test_a_reason_of_the_library_has_no_part_of_the_url",
    ),
    bug(
        "ping-follows",
        "a ping follows a redirect: its address, which is a secret, goes where another server says",
        "reaper/telemetry/notifications/pinger.py",
        "urllib.request.build_opener(_NoRedirect(), ",
        "urllib.request.build_opener(",
        fails=_RECEIVERS
        + "test_a_ping_that_is_refused_or_sent_elsewhere_is_said[302-write the address that it leads to]",
    ),
    bug(
        "waits-for-receivers",
        "the end of a run waits for a receiver that hangs",
        "reaper/app/notifier.py",
        "anyio.move_on_after(END_S - WITHDRAW_S):\n                await self.look(",
        "anyio.move_on_after(6):\n                await self.look(",
        fails=_SOCKETS + "test_a_run_ends_in_time_though_receiver_and_monitor_hang",
    ),
)

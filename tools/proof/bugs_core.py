"""Bugs in what is decided, and in the worker that carries it out."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

_WORKER = "tests/unit/test_worker.py::"
_ONE_SIDED = "tests/unit/test_one_sided.py::"

CORE: tuple[Bug, ...] = (
    bug(
        "settled-before-the-delete",
        "an ID is settled before its DELETE is sent: a crash in between loses it",
        "reaper/worker/attempt.py",
        "import Decision, Lease, Release, Reply, Send, Withheld\n",
        "import Decision, Lease, Outcome, Release, Reply, Send, Settle, Withheld\n",
        "        self.sends += 1\n        try:\n",
        "        self.sends += 1\n"
        "        self.post_result(lease, Settle(Outcome.STOPPED), Send(sent_at, 0.0, status=204))\n"
        "        try:\n",
        fails=(f"{_WORKER}test_abort_releases_everything_at_once", f"{_WORKER}test_a_lost_answer_ends_in_already_gone"),
    ),
    bug(
        "identity-skipped",
        "DELETEs are sent before the API has shown that it is the API",
        "reaper/core/gate.py",
        "        self.proven = not self.verify\n        self.allowance",
        "        self.proven = True\n        self.allowance",
        fails=("tests/unit/test_gate.py::test_nothing_starts_before_the_read_succeeds",),
    ),
    bug(
        "account-not-compared",
        "the token of another account passes: to it every session of the backlog is a 404",
        "reaper/core/account.py",
        "    if pinned is None or (isinstance(found, Account) and found.user_id == pinned.user_id):\n",
        "    if pinned is None or isinstance(found, Account):\n",
        fails="tests/unit/test_account.py::test_another_account_is_recognised_by_its_id_alone",
    ),
    bug(
        "target-not-compared-first",
        "the list is read, with the token, before the address is compared with the queue's",
        "reaper/worker/identity.py",
        "        other = await self.compare_address(address)\n",
        "        await api.list_sessions()\n        other = await self.compare_address(address)\n",
        fails="tests/unit/test_identity.py::test_another_address_is_named_beside_the_queues_and_nothing_is_sent_to_it",
    ),
    bug(
        "target-not-watched",
        "a worker starts without a comparison: where no reads are made, the token goes to another address",
        "reaper/worker/worker.py",
        "        await self._supervisor.watch_target()\n        background.start_soon(self._reads.run)\n",
        "        background.start_soon(self._reads.run)\n",
        fails="tests/unit/test_worker_target.py::test_once_ends_at_once_and_names_both_addresses[no reads]",
    ),
    bug(
        "reload-undone",
        "a comparison that began before a reload lifts the hold of the address after it",
        "reaper/worker/supervisor.py",
        "        if self.token.generation != generation:\n            return",
        "        if self.token.generation < generation:\n            return",
        fails="tests/unit/test_worker_target.py::test_a_reload_during_a_comparison_is_not_undone_by_it[no reads]",
    ),
    bug(
        "401-charged",
        "a refused token uses up the attempts of the IDs",
        "reaper/core/decide.py",
        "            if others_final and not unsent and not withheld:\n",
        "            if not unsent:\n",
        fails=(
            f"{_WORKER}test_a_refused_token_ends_once_with_77_and_charges_nothing",
            "tests/unit/test_decide.py::test_refusals_are_charged_only_once_others_got_a_final_answer",
        ),
    ),
    bug(
        "lease-from-its-answer",
        "a lease counts from when the queue's answer came: after a slow one a DELETE outlives it, beside another",
        "reaper/worker/claims.py",
        "[Claimed(lease, asked_at, at, finals) for lease in leases]",
        "[Claimed(lease, at, at, finals) for lease in leases]",
        fails="tests/unit/test_worker_slow_queue.py::test_a_lease_whose_claim_was_answered_late_is_not_used",
    ),
    bug(
        "pause-unread-ignored",
        "a connection hangs, and a reaper sends on for minutes though an operator has paused the queue",
        "reaper/worker/supervisor.py",
        "await self.queue.paused(), asked_at + PAUSE_KNOWN_S)",
        "await self.queue.paused(), math.inf)",
        fails="tests/unit/test_worker_queue_unavailable.py"
        "::test_nothing_is_sent_while_the_operators_pause_cannot_be_read",
    ),
    bug(
        "end-waits-for-a-hung-queue",
        "a second SIGTERM waits as long for a queue that hangs as the first one",
        "reaper/worker/settler.py",
        "        return HURRIED_S if self._is_hurried else SETTLE_TIMEOUT_S\n",
        "        return SETTLE_TIMEOUT_S\n",
        fails="tests/unit/test_settler.py::test_a_queue_that_hangs_is_given_up_soon_when_the_worker_is_to_end_at_once",
    ),
    bug(
        "check-failed-is-nothing",
        "a check before a DELETE that fails counts for nothing: a run ends with 0, and the ID circles for ever, unseen",
        "reaper/worker/attempt.py",
        "        return self._decide(claimed, found.verdict, before, of_check=True), "
        "record_check(found.reply, before.at)\n",
        "        self._decide(claimed, found.verdict, before, of_check=True)\n        return Release(30.0), None\n",
        fails="tests/unit/test_worker_preflight.py"
        "::test_a_session_whose_check_fails_each_time_is_exhausted_as_one_whose_delete_does",
    ),
    bug(
        "exhausted-by-an-outage",
        "in an outage that no breaker has noticed the last attempt makes an ID a dead letter",
        "reaper/worker/unconfirmed.py",
        "        if decision.unless_up is not None and self.gate.verify:\n",
        "        if False:\n",
        fails="tests/unit/test_last_attempt.py::test_many_processes_beside_one_id_do_not_exhaust_it_in_an_outage",
    ),
    bug(
        "waiting-takes-a-slot",
        "an answer that waits for a slow list takes a slot: a few of them hold up all other IDs",
        "reaper/worker/claims.py",
        "        busy = self._outstanding - min(self.count_waiting(), MAX_WAITING)\n",
        "        busy = self._outstanding\n",
        fails="tests/unit/test_last_attempt.py::test_one_at_a_time_a_failure_that_waits_holds_up_no_other_id",
    ),
    bug(
        "next-page-ignored",
        "the first page of the API's list is taken for the whole: a session on another page is believed gone",
        "reaper/core/discovery/listing.py",
        "            if one and _plain(key) in NEXT_PAGE:\n",
        "            if False:\n",
        fails="tests/unit/test_one_sided_reads.py"
        "::test_a_list_that_cannot_be_read_whole_proves_the_api_and_compares_nothing[more pages]",
    ),
    bug(
        "allowance-without-end",
        "answers of 404 are booked without end: a gateway without routes turns a whole backlog into gone sessions",
        "reaper/core/allowance.py",
        "        return self.verify and self.used > self.limit\n",
        "        return False\n",
        fails=(
            "tests/unit/test_allowance.py::test_five_are_booked_and_a_read_is_due_when_half_are",
            "tests/unit/test_one_sided_reads.py::test_a_drain_releases_the_answers_that_wait",
        ),
    ),
    bug(
        "unread-list-confirms",
        "answers of 404 that come while a list is left unread are booked as if it did not show their sessions",
        "reaper/worker/list_reads.py",
        "        elif is_proof and not is_needed:\n",
        "        elif is_proof and not is_needed and not self.unconfirmed.is_waiting:\n",
        fails="tests/unit/test_one_sided_reads.py::"
        "test_what_comes_while_a_list_seems_not_to_be_needed_waits_for_the_next_one",
    ),
    bug(
        "silence-of-a-host-forgotten",
        "who names another address for a moment forgets the silence that the API asked for at this one",
        "reaper/core/gate.py",
        "            self.throttle = self._throttles.pop(after, Throttle())\n",
        "            self.throttle = Throttle()\n",
        fails="tests/unit/test_gate_target.py::test_who_goes_back_to_a_host_keeps_its_silence",
    ),
    bug(
        "silence-of-the-wrong-host",
        "a 429 that comes after a reload named another address holds that one up, and not the one that asked",
        "reaper/worker/attempt.py",
        "self.clock(), self.gate.throttle, self.gate.outage,",
        "self.clock(), None, self.gate.outage,",
        fails="tests/unit/test_worker_target.py::test_a_late_429_asks_for_silence_at_the_host_that_it_came_from",
    ),
    bug(
        "time-ahead-hides-bookings",
        "a comparison kept by a clock that was ahead hides what a reaper booked once that was set right, and died",
        "reaper/worker/comparison.py",
        "    return at if at <= now + SKEW_S else now - 2 * OLD_S\n",
        "    return at\n",
        fails="tests/contract/test_gone.py::test_a_time_kept_by_a_clock_that_was_ahead_hides_nothing[sqlite]",
    ),
    bug(
        "alive-and-not-reopened",
        "a session that a 404 called gone and the list shows alive stays booked as gone",
        "reaper/worker/comparison.py",
        "        await self.ledger.reopen(ids, reason=kept, by=BY, only=GONE, after_s=after_s)\n",
        "",
        fails=f"{_ONE_SIDED}test_a_gateway_that_loses_its_routes_for_some_seconds_costs_nothing",
    ),
    bug(
        "alive-and-believed-in-the-end",
        "a run that is repeated behind a gateway without routes believes it after some tries, and ends with 0",
        "reaper/worker/unconfirmed.py",
        "        is_late = lease.sends > self.options.retry.max_attempts and self.gate.allowance.has_stopped\n",
        "        is_late = lease.sends > self.options.retry.max_attempts\n",
        fails=f"{_ONE_SIDED}test_a_run_that_is_repeated_behind_a_gateway_that_stays_broken_books_nothing",
    ),
    bug(
        "storm-of-403-alone",
        "a storm of 400, 409 or 422 turns a whole backlog into dead letters",
        "reaper/core/storm.py",
        "REFUSED = (Outcome.FORBIDDEN, Outcome.REJECTED)\n",
        "REFUSED = (Outcome.FORBIDDEN,)\n",
        fails="tests/unit/test_refusals.py::test_twenty_refusals_of_any_kind_are_a_storm_and_its_detail_names_the_status",
    ),
    bug(
        "any-404-is-gone",
        "a 404 of a proxy or of a wrong address settles an ID as already gone",
        "reaper/core/classify.py",
        "    if status == 407 or not 400 <= status < 500 or not is_own_error(reply.body):\n"
        "        return foreign(reply)\n"
        "    if status in (404, 410):\n        return Final(Outcome.ALREADY_GONE)\n",
        "    if status in (404, 410):\n        return Final(Outcome.ALREADY_GONE)\n"
        "    if status == 407 or not 400 <= status < 500 or not is_own_error(reply.body):\n"
        "        return foreign(reply)\n",
        fails="tests/unit/test_classify.py::test_each_answer_means_what_the_table_says",
    ),
    bug(
        "jitter-subtracted",
        "after a 429 the reaper is back before the server said so",
        "reaper/core/throttle.py",
        "* (1 + JITTER * jitter)",
        "* (1 - JITTER * jitter)",
        fails="tests/unit/test_throttle.py::test_a_429_stops_everything_for_its_delay_plus_jitter",
    ),
    bug(
        "bound-off-by-one",
        "one DELETE more is in flight than the bound allows",
        "reaper/core/gate.py",
        "        if self.in_flight < self.limit and self._only_limited(now):\n",
        "        if self.in_flight <= self.limit and self._only_limited(now):\n",
        fails="tests/unit/test_gate.py::test_the_bound_counts_what_is_in_flight",
    ),
    bug(
        "drain-cancels",
        "a drain cancels what is in flight: nobody knows what those sends did",
        "reaper/worker/shutdown.py",
        "            self.is_draining = True\n            self.scope.deadline = anyio.current_time() + within_s\n",
        "            self.is_draining = True\n            self.scope.cancel()\n",
        fails=f"{_WORKER}test_drain_lets_sends_end_and_releases_the_rest",
    ),
    bug(
        "outcome-dropped",
        "an outcome is dropped when the queue is unavailable at that moment",
        "reaper/worker/settler.py",
        "            except QueueUnavailableError as error:\n"
        "                await self.queue_health.wait_before_retry(error)\n",
        "            except QueueUnavailableError as error:\n"
        "                self.queue_health.mark_unavailable(error)\n"
        "                return [False] * len(results)\n",
        fails="tests/unit/test_worker_queue_unavailable.py::test_outcomes_are_kept_until_the_engine_is_back",
    ),
    bug(
        "reported-before-durable",
        "an outcome is logged and counted before the ledger has it",
        "reaper/worker/settler.py",
        "                self._report(results, await self._apply_with_retry(scope, results))\n",
        "                self._report(results, [True] * len(results))\n"
        "                await self._apply_with_retry(scope, results)\n",
        fails="tests/unit/test_settler.py::test_nothing_is_told_before_it_is_durable",
    ),
    bug(
        "batches-without-bound",
        "a slow queue gets more and more batches at once, until it is given up because of those that wait",
        "reaper/worker/settler.py",
        "        while self._posted and self._in_flight < MAX_BATCHES_IN_FLIGHT:\n",
        "        while self._posted:\n",
        fails="tests/unit/test_settler.py::test_a_slow_queue_is_asked_for_larger_batches_and_not_for_more_of_them",
    ),
    bug(
        "time-of-the-first-attempt",
        "a batch that waited out an outage is given up in its first attempt after it",
        "reaper/worker/settler.py",
        "            self._applies[scope] = self.queue_health.now()\n            try:\n",
        "            self._applies.setdefault(scope, self.queue_health.now())\n            try:\n",
        fails="tests/unit/test_settler.py::test_after_a_long_outage_each_batch_has_its_whole_time_again",
    ),
)

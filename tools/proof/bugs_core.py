"""Bugs in what is decided, and in the worker that carries it out."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

_WORKER = "tests/unit/test_worker.py::"

CORE: tuple[Bug, ...] = (
    bug(
        "settled-before-the-delete",
        "an ID is settled before its DELETE is sent: a crash in between loses it",
        "reaper/worker/attempt.py",
        "import Decision, Lease, Outcome, Release, Reply, Send\n",
        "import Decision, Lease, Outcome, Release, Reply, Send, Settle\n",
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
        "        self.proven = not self.verify\n        self._limiter",
        "        self.proven = True\n        self._limiter",
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
        "protection-of-named-ids",
        "protection counts for what discovery chose, and not for an ID that somebody named",
        "reaper/intake/discovery/preflight.py",
        "        return self.is_chosen(lease) or bool(self.protection())\n",
        "        return self.is_chosen(lease)\n",
        fails="tests/unit/test_preflight.py::test_a_protected_id_is_spared_whoever_named_it",
    ),
    bug(
        "401-charged",
        "a refused token uses up the attempts of the IDs",
        "reaper/core/decide.py",
        "            if others_final and not unsent:\n",
        "            if not unsent:\n",
        fails=(
            f"{_WORKER}test_a_refused_token_ends_once_with_77_and_charges_nothing",
            "tests/unit/test_decide.py::test_refusals_are_charged_only_once_others_got_a_final_answer",
        ),
    ),
    bug(
        "any-404-is-gone",
        "a 404 of a proxy or of a wrong address settles an ID as already gone",
        "reaper/core/classify.py",
        "    if status == 407 or not 400 <= status < 500 or not _is_own_error(reply.body):\n"
        "        return Foreign(status)\n"
        "    if status in (404, 410):\n        return Final(Outcome.ALREADY_GONE)\n",
        "    if status in (404, 410):\n        return Final(Outcome.ALREADY_GONE)\n"
        "    if status == 407 or not 400 <= status < 500 or not _is_own_error(reply.body):\n"
        "        return Foreign(status)\n",
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
    bug(
        "guard-off-by-one",
        "the guard lets one session more than its limit through",
        "reaper/core/discovery/guard.py",
        "    if len(chosen) > limits.max_per_sweep:\n",
        "    if len(chosen) > limits.max_per_sweep + 1:\n",
        fails="tests/unit/test_guard.py::test_max_per_sweep_fires_above_its_figure",
    ),
    bug(
        "held-sweep-is-cut",
        "a sweep that trips the guard is cut to a portion and not held",
        "reaper/core/discovery/guard.py",
        "    if not tripped:\n        return Pass(chosen)\n",
        "    if not tripped or tripped.keys() == {Guard.MAX_PER_SWEEP}:\n"
        "        return Pass(dict(list(chosen.items())[: limits.max_per_sweep]))\n",
        fails="tests/unit/test_guard.py::test_max_per_sweep_fires_above_its_figure",
    ),
    bug(
        "missing-time-is-expired",
        "a session whose expiry is missing or cannot be read is stopped",
        "reaper/core/discovery/policy.py",
        "created_at is None or expires_at is None or session.clone_ids is None or session.odd:\n",
        "created_at is None or session.clone_ids is None:\n",
        "    if expires_at + MAX_LIFE_S < created_at:",
        "    expires_at = created_at if expires_at is None else expires_at\n"
        "    if expires_at + MAX_LIFE_S < created_at:",
        fails="tests/unit/test_policy.py::test_the_table",
    ),
    bug(
        "own-clock",
        "sessions are judged by this machine's clock instead of the server's",
        "reaper/intake/discovery/sweep.py",
        "        return jumped or reading.server_at\n",
        "        return jumped or at\n",
        fails="tests/integration/test_sweep.py::test_a_sweep_judges_by_the_servers_clock",
    ),
)

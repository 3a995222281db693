"""Bugs of discovery: what is chosen from the API's list, what protects, and what holds a sweep."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

DISCOVERY: tuple[Bug, ...] = (
    bug(
        "protect-file-lax",
        "an entry of protect.file that can match nothing is taken, and protects nobody",
        "reaper/core/discovery/protection.py",
        "entries_of(text, fault_of_entry)",
        "entries_of(text, lambda entry: None)",
        fails="tests/unit/test_protection_file.py::test_an_entry_that_can_match_nothing_makes_the_file_refused",
    ),
    bug(
        "owners-lax",
        "a line of the owners' answer that can match nothing is taken: its batch looks orphaned",
        "reaper/intake/discovery/owners.py",
        "entries_of(text, fault_of_name)",
        "entries_of(text, lambda entry: None)",
        fails="tests/integration/test_owners.py::test_a_line_that_can_match_nothing_means_that_all_are_alive[batch-2,]",
    ),
    bug(
        "future-is-past",
        "a session that was created in the future is judged by the rules, and may be stopped",
        "reaper/core/discovery/policy.py",
        "created_at > server_now:",
        "created_at > server_now + 300.0:",
        fails="tests/property/test_policy_property.py::test_it_reaps_exactly_what_a_rule_asks_for",
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
        "sweep-heeds-late",
        "what a sweep was answered holds nothing up until its report is made, which waits for the queue",
        "reaper/intake/discovery/sweep.py",
        "                on_unread(seen.verdict)\n",
        "                await open_holds_and_ghosts(self.queue)\n                on_unread(seen.verdict)\n",
        fails="tests/integration/test_sweep.py::test_a_429_is_heeded_also_while_the_queue_is_away",
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
    bug(
        "held-and-stopped-in-parts",
        "what an operator has discarded, or not decided, is stopped by the next sweep that trips no guard",
        "reaper/core/discovery/guard.py",
        "    if not isinstance(ruling, Pass) or not (kept := keepers(holds, ruling.sessions, now)):\n",
        "    if not (kept := keepers(holds, (), now)) or not isinstance(ruling, Pass):\n",
        fails="tests/integration/test_sweep.py::test_what_a_hold_keeps_is_not_stopped_by_a_smaller_sweep",
    ),
)

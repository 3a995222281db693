"""`reaper status` as text, without colour."""

from __future__ import annotations

from reaper.cli.output import OUTCOME_WORDS, notice_line
from reaper.cli.terminal.queue_snapshot import QueueSnapshot
from reaper.core.model import Outcome
from reaper.core.text import format_duration


def status_text(snapshot: QueueSnapshot) -> str:
    """Return the snapshot: the counts, the workers, and each notice with what to do."""
    stats, now = snapshot.stats, snapshot.now
    oldest = f"   oldest due for {format_duration(stats.oldest_due_s)}" if stats.ready else ""
    lines = [
        f"ready          {stats.ready:>9}{oldest}",
        f"delayed        {stats.delayed:>9}",
        f"in flight      {stats.in_flight:>9}" + ("" if snapshot.limit is None else f"   limit {snapshot.limit}"),
        f"rounds settled {sum(stats.settled.values()):>9}",
        *(f"  {OUTCOME_WORDS[o]:<13}{stats.settled[o]:>9}" for o in Outcome if stats.settled.get(o)),
    ]
    if stats.dead:
        lines.append(f"dead           {stats.dead:>9}")
    lines += [
        f"reaper {worker.pid}: running for {format_duration(now - worker.started_at)}, limit {worker.limit}"
        for worker in snapshot.live_workers
    ]
    for notice in snapshot.notices:
        lines.append(notice_line(notice))
        if notice.what_to_do:
            lines.append(f"  -> {notice.what_to_do}")
    return "\n".join(lines)

"""How a worker ends. One small state that its parts share."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class Shutdown:
    """The end of a worker, in three degrees; each send still gets a recorded result.

    *Drain*: claim nothing more, let the sends in flight end. *Finish*: go on until nothing is left to claim. Both turn
    into *abort* at their deadline: cancel what is in flight and release everything.
    """

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """The scope of the claim loop and its slots; its deadline is the drain's."""
    is_draining: bool = False
    is_finishing: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether the worker was asked to end in any of the three ways."""
        return self.is_draining or self.is_finishing

    @property
    def is_aborted(self) -> bool:
        """Whether nothing is waited for any more. The settler outlives the scope, so the deadline counts, too."""
        return self.scope.cancel_called or anyio.current_time() >= self.scope.deadline

    @property
    def left_s(self) -> float | None:
        """Seconds until the deadline, once the end has begun."""
        return max(0.0, self.scope.deadline - anyio.current_time()) if self.has_begun else None

    def drain(self, within_s: float) -> None:
        """Begin to drain; `within_s` bounds it. A second call changes nothing."""
        if not self.is_draining:
            self.is_draining = True
            self.scope.deadline = anyio.current_time() + within_s

    def finish(self, within_s: float) -> None:
        """Begin to finish; `within_s` bounds it. Changes nothing once the end has begun."""
        if not self.has_begun:
            self.is_finishing = True
            self.scope.deadline = anyio.current_time() + within_s

    def abort(self) -> None:
        """Cancel what is in flight and release everything now."""
        self.is_draining = True
        self.scope.cancel()

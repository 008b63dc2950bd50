"""Which engine of a pool answers a row: the least loaded at its first call, and the same one for all that follow.

An engine that has read a row's picture has it in its caches, so the row goes back there. Consistent hashing would send
it back too, but spreads rows unevenly (135, 85 and 80 of 300 over three engines) and moves rows of healthy engines
whenever an engine comes or goes. Here a row moves only if its own engine is gone. Each process that carries rows has a
router of its own, and each row is carried by one process, so nothing needs to be agreed upon.
"""

from collections import Counter, OrderedDict
from typing import Any

from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

from oasis_ray.pool.handle import ROWS


class StickyRouter(ConsistentHashRouter):  # type: ignore[misc]  # Ray ships no types; the base routes sessions in order
    """A Serve router by row (`session_id`). It sends a first call where the fewest of its requests are."""

    def initialize_state(self, **_: Any) -> None:
        """Serve calls this once."""
        super().initialize_state()
        self._engine_of: OrderedDict[str, Any] = OrderedDict()  # by row
        self._asked: dict[str, Any] = {}  # the engine of each request that is not answered
        self._requests: Counter[Any] = Counter()  # such requests, by engine
        self._rows: Counter[Any] = Counter()

    async def choose_replicas(self, candidate_replicas: list[Any], pending_request: Any = None) -> list[list[Any]]:
        """The one replica to ask. Serve asks again while that one takes no more requests."""
        if pending_request is None or not candidate_replicas:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True
        there = {replica.replica_id: replica for replica in candidate_replicas}
        request, row = pending_request.metadata.internal_request_id, pending_request.metadata.session_id
        self._forget(request)
        engine = self._engine_of.get(row)
        if engine not in there:
            engine = min(there, key=lambda one: (self._requests[one], self._rows[one]))
        # Counted from here on, not from when the replica has taken it: requests come in bursts.
        self._asked[request] = engine
        self._requests[engine] += 1
        return [[there[engine]]]

    def on_request_routed(self, pending_request: Any, replica_id: Any, result: Any) -> None:
        """Serve calls this when a replica has taken a request: from now on the row belongs to it."""
        row = pending_request.metadata.session_id
        if self._engine_of.pop(row, None) != replica_id:
            self._rows[replica_id] += 1
        self._engine_of[row] = replica_id
        if len(self._engine_of) > ROWS:
            self._engine_of.popitem(last=False)

    def on_request_completed(self, replica_id: Any, internal_request_id: str) -> None:
        """Serve calls this when a request has been answered, or its replica is lost."""
        self._forget(internal_request_id)

    def _forget(self, request: str) -> None:
        if request in self._asked:
            self._requests[self._asked.pop(request)] -= 1

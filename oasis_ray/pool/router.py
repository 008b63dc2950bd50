"""Router: sends a row's first request to the least loaded replica of its pool, and all later ones to the same replica.

That replica has the row's image in its caches. Consistent hashing would also keep rows on their replica, but spreads
them unevenly (135, 85 and 80 of 300 over three replicas) and moves rows between healthy replicas whenever one starts or
ends. Here a row moves only if its own replica is gone. Each worker has its own router, and each row is processed by one
worker, so routers need no coordination.
"""

from collections import Counter, OrderedDict
from typing import Any

from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

from oasis_ray.pool.handle import ROWS


class StickyRouter(ConsistentHashRouter):  # type: ignore[misc]  # Ray ships no types; the base routes sessions in order
    """Serve router by row (`session_id`). A first call goes to the replica with the fewest of its pending requests."""

    def initialize_state(self, **_: Any) -> None:
        """Create the state; Serve calls this once."""
        super().initialize_state()
        self._replica_of: OrderedDict[str, Any] = OrderedDict()  # by row
        self._asked: dict[str, Any] = {}  # the replica of each pending request
        self._requests: Counter[Any] = Counter()  # pending requests, by replica
        self._rows: Counter[Any] = Counter()  # by replica

    async def choose_replicas(self, candidate_replicas: list[Any], pending_request: Any = None) -> list[list[Any]]:
        """Return the one replica of the row. Serve calls this again while the replica accepts no more requests."""
        if pending_request is None or not candidate_replicas:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True
        candidates = {replica.replica_id: replica for replica in candidate_replicas}
        request, row = pending_request.metadata.internal_request_id, pending_request.metadata.session_id
        self._forget(request)
        replica = self._replica_of.get(row)
        if replica not in candidates:
            replica = min(candidates, key=lambda name: (self._requests[name], self._rows[name]))
        # Counted from now, not from when the replica accepts it, because requests come in bursts.
        self._asked[request] = replica
        self._requests[replica] += 1
        return [[candidates[replica]]]

    def on_request_routed(self, pending_request: Any, replica_id: Any, result: Any) -> None:
        """Assign the row to its replica; Serve calls this when the replica has accepted the request."""
        row = pending_request.metadata.session_id
        if self._replica_of.pop(row, None) != replica_id:
            self._rows[replica_id] += 1
        self._replica_of[row] = replica_id
        if len(self._replica_of) > ROWS:
            self._replica_of.popitem(last=False)

    def on_request_completed(self, replica_id: Any, internal_request_id: str) -> None:
        """Forget a request; Serve calls this when it has been answered or its replica is lost."""
        self._forget(internal_request_id)

    def _forget(self, request: str) -> None:
        if request in self._asked:
            self._requests[self._asked.pop(request)] -= 1

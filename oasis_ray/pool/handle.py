"""The way from a node to a pool.

All requests of a row carry its id as session, so the router (`router`) sends them to the replica that has its image in
the prefix and encoder caches; where a pool has several kinds of engine, they all go to one kind. A picture goes there
once: the requests after it name its digest alone, and bring its bytes again only to an engine that does not have it.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from grpc.aio import AioRpcError
from ray import serve
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, ReplicaUnavailableError

from oasis_ray.errors import EngineLostError, ImageGoneError, OasisError, RunError
from oasis_ray.types import Call, Image, Reply

# As Ray advises for throughput: Serve's router and a replica's engine run in the loop that is there, not in another
# thread. Serve reads these when it is imported. With gRPC it saves a request a quarter of its CPU
# (docs/decisions/0039-grpc.md).
# No proxy: a company's would be given what goes from a worker to a replica by gRPC (`cluster.join`).
LEAN = {
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "grpc_proxy": "",
}
# A call of up to so many bytes goes to its engine by gRPC, which costs half of what an actor's task does; a larger one
# through Ray's object store (Serve's servers take no message of more than 4 MB).
DIRECT = 1 << 20
# Calls and replies are values of modules that both sides have; cloudpickle, for all else, takes longer.
PICKLED = {"request_serialization": "pickle", "response_serialization": "pickle"}
ROWS = 10_000  # whose engine is remembered: many times what one process carries at once


def worker_env() -> dict[str, Any]:
    """The runtime environment of the processes that ask engines or hold them: the job's own, with `LEAN` in it."""
    job = dict(ray.get_runtime_context().runtime_env)
    return job | {"env_vars": job.get("env_vars", {}) | LEAN}


@dataclass
class Affinity:
    """Where a row is answered, and which pictures the engine there knows by their digests."""

    app: str
    known: set[str] = field(default_factory=set)


@dataclass
class PoolHandle:
    """The way from a node to a pool, from any process of the cluster.

    `apps` are the Serve applications of its kinds of engine, each with how many requests all its engines can take.
    """

    name: str
    apps: Mapping[str, int]
    _handles: dict[str, Any] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)  # by application, requests that are not answered
    _seats: OrderedDict[str, Affinity] = field(default_factory=OrderedDict)  # by row

    async def ask(self, call: Call) -> Reply:
        """Answer one call on the replica that its row sticks to.

        Raises what the engine raised, or EngineLostError where the replica has died: it takes its calls with it.
        """
        seat = self._seat(call.row)
        self._asked[seat.app] += 1
        try:
            try:
                reply = await self._ask(seat.app, _brief(call, seat.known))
            except ImageGoneError:  # the engine has forgotten it, or the row has moved to another
                reply = await self._ask(seat.app, call)
        finally:
            self._asked[seat.app] -= 1
        seat.known.update(image.digest for image in call.request.images if reply.keeps)
        return reply

    def _seat(self, row: str) -> Affinity:
        """At a row's first call the kind of engine that has the most room left, and the same one from then on."""
        seat = self._seats.pop(row, None) or Affinity(min(self.apps, key=lambda app: self._asked[app] / self.apps[app]))
        self._seats[row] = seat
        if len(self._seats) > ROWS:
            self._seats.popitem(last=False)
        return seat

    async def _ask(self, app: str, call: Call) -> Reply:
        if app not in self._handles:
            self._handles[app] = serve.get_app_handle(app)
        way = self._handles[app].options(session_id=call.row, _by_reference=_size(call) > DIRECT, **PICKLED)
        while True:
            try:
                reply: Reply = await way.ask.remote(call)
            except (RayActorError, AioRpcError) as error:
                raise EngineLostError(str(error).strip().splitlines()[0]) from None
            except (BackPressureError, ReplicaUnavailableError):
                await asyncio.sleep(1)
            except Exception as error:
                cause = error.cause if isinstance(error, RayTaskError) else error
                if isinstance(cause, OasisError):
                    raise cause from None
                raise RunError(f"pool '{self.name}': {type(cause).__name__}: {cause}") from None
            else:
                return reply


def _brief(call: Call, known: set[str]) -> Call:
    """The call without the bytes of pictures that are known where it goes."""
    if not known:
        return call
    images = tuple(Image(b"", one.digest) if one.digest in known else one for one in call.request.images)
    return replace(call, request=replace(call.request, images=images))


def _size(call: Call) -> int:
    """About how many bytes a call has."""
    return len(call.request.text) + sum(len(image.data) for image in call.request.images)

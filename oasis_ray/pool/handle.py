"""Pool handle: sends requests from the nodes of a recipe to a pool.

All requests of a row have its id as session, so that the router (`router`) sends them to the replica that has the row's
image in its prefix and encoder caches. If a pool has several replica groups, they all go to the same group. Each image
is sent to an engine only once: later requests have only its digest, and its bytes only if the engine has dropped it.
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

# As Ray advises for throughput: Serve's router and a replica's engine run in the existing event loop, not in a thread
# of their own. Serve reads these when it is imported. With gRPC this saves 25% of the CPU per request
# (docs/decisions/0039-grpc.md). No proxy: gRPC would send requests to replicas through it (`connection.join`).
LEAN = {
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "grpc_proxy": "",
}
# Calls of up to this many bytes are sent by gRPC, at half the cost of an actor task; larger ones through Ray's object
# store (Serve's gRPC servers accept messages of up to 4 MB).
DIRECT = 1 << 20
# Calls and replies are instances of classes that both sides can import; cloudpickle would be slower.
PICKLED = {"request_serialization": "pickle", "response_serialization": "pickle"}
ROWS = 10_000  # whose engine is remembered: many times the in-flight limit of a process


def worker_env() -> dict[str, Any]:
    """Return the runtime environment of workers and replicas: the job's own with `LEAN` merged in."""
    job = dict(ray.get_runtime_context().runtime_env)
    return job | {"env_vars": job.get("env_vars", {}) | LEAN}


@dataclass
class Affinity:
    """A row's replica group, and the digests of the images that its engine has."""

    app: str
    known: set[str] = field(default_factory=set)


@dataclass
class PoolHandle:
    """Client of a pool, usable in any process of the cluster.

    `apps` are the Serve applications of its replica groups, each with the number of requests it can process at once.
    """

    name: str
    apps: Mapping[str, int]
    _handles: dict[str, Any] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)  # by application, requests without a reply yet
    _affinities: OrderedDict[str, Affinity] = field(default_factory=OrderedDict)  # by row

    async def ask(self, call: Call) -> Reply:
        """Answer one call on the replica of its row.

        Raises the engine's error, or EngineLostError if the replica has died, which fails all its calls.
        """
        affinity = self._affinity(call.row)
        self._asked[affinity.app] += 1
        try:
            try:
                reply = await self._ask(affinity.app, _brief(call, affinity.known))
            except ImageGoneError:  # the engine has dropped the image, or the row has moved to another engine
                reply = await self._ask(affinity.app, call)
        finally:
            self._asked[affinity.app] -= 1
        affinity.known.update(image.digest for image in call.request.images if reply.keeps)
        return reply

    def _affinity(self, row: str) -> Affinity:
        """Return the row's affinity: from its first call on, the replica group that had the lowest load then."""
        affinity = self._affinities.pop(row, None) or Affinity(
            min(self.apps, key=lambda app: self._asked[app] / self.apps[app])
        )
        self._affinities[row] = affinity
        if len(self._affinities) > ROWS:
            self._affinities.popitem(last=False)
        return affinity

    async def _ask(self, app: str, call: Call) -> Reply:
        if app not in self._handles:
            self._handles[app] = serve.get_app_handle(app)
        handle = self._handles[app].options(session_id=call.row, _by_reference=_size(call) > DIRECT, **PICKLED)
        while True:
            try:
                reply: Reply = await handle.ask.remote(call)
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
    """Return the call without the bytes of images that its engine has (`known`, by digest)."""
    if not known:
        return call
    images = tuple(Image(b"", image.digest) if image.digest in known else image for image in call.request.images)
    return replace(call, request=replace(call.request, images=images))


def _size(call: Call) -> int:
    """Return the approximate size of a call in bytes."""
    return len(call.request.text) + sum(len(image.data) for image in call.request.images)

"""The way from a node to a pool.

All requests of a row carry its id as session, so the router (`router`) sends them to the replica that has its image in
the prefix and encoder caches; where a pool has several kinds of engine, they all go to one kind.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ray import serve
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, ReplicaUnavailableError

from oasis_ray.errors import EngineLostError, OasisError, RunError
from oasis_ray.rows import Call, Reply

ROWS = 10_000  # whose engine is remembered: many times what one process carries at once


@dataclass
class PoolHandle:
    """The way from a node to a pool, from any process of the cluster.

    `apps` are the Serve applications of its kinds of engine, each with how many requests all its engines can take.
    """

    name: str
    apps: Mapping[str, int]
    _handles: dict[str, Any] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)  # by application, requests that are not answered
    _app_of: OrderedDict[str, str] = field(default_factory=OrderedDict)  # by row

    async def ask(self, call: Call) -> Reply:
        """Answer one call on the replica that its row sticks to.

        Raises what the engine raised, or EngineLostError where the replica has died: it takes its calls with it.
        """
        app = self._choose(call.row)
        self._asked[app] += 1
        try:
            return await self._ask(app, call)
        finally:
            self._asked[app] -= 1

    def _choose(self, row: str) -> str:
        """At a row's first call the kind of engine that has the most room left, and the same one from then on."""
        app = self._app_of.pop(row, None) or min(self.apps, key=lambda app: self._asked[app] / self.apps[app])
        self._app_of[row] = app
        if len(self._app_of) > ROWS:
            self._app_of.popitem(last=False)
        return app

    async def _ask(self, app: str, call: Call) -> Reply:
        if app not in self._handles:
            self._handles[app] = serve.get_app_handle(app)
        while True:
            try:
                reply: Reply = await self._handles[app].options(session_id=call.row).ask.remote(call)
            except RayActorError as error:
                raise EngineLostError(str(error).strip().splitlines()[0]) from None
            except (BackPressureError, ReplicaUnavailableError):
                await asyncio.sleep(1)
            except RayTaskError as error:
                raise (
                    error.cause
                    if isinstance(error.cause, OasisError)
                    else RunError(f"pool '{self.name}': {type(error.cause).__name__}: {error.cause}")
                ) from None
            else:
                return reply

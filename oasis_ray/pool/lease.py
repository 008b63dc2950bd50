"""Who ends engines when their run has ended, however it ended.

Serve keeps applications when their driver exits, is killed, or loses its node. So each application has a reaper: an
actor outside all jobs that holds the owners of the jobs that use the engines. An owner is an actor inside a job and
dies with it. When the last owner is gone, the reaper deletes the application, and ends. A job that ends in order does
so itself: it has Serve imported, which takes a reaper's process seconds.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayActorError

from oasis_ray.cluster.connection import NAMESPACE, here
from oasis_ray.cluster.nodes import NODE_TOKEN

PREFIX = "oasis-"  # of the name of every application of ours
REAPER = "reaper-"
HEAD = "node:__internal_head__"  # Ray's mark of the head
ENDING_S = 0.5  # between two looks whether engines that are being deleted are gone


@ray.remote(num_cpus=0)
class _Owner:
    """Lives as long as the driver's job."""

    async def hold(self) -> None:
        await asyncio.Event().wait()


# On the head, which no cluster outlives. Not restarted: a new one would know no owner. If the head is lost and comes
# again, `sweep` sees that nobody holds the engines.
@ray.remote(num_cpus=0, resources={HEAD: NODE_TOKEN}, lifetime="detached", max_restarts=0)
class _Reaper:
    """Deletes an application when the last owner is gone, and ends. `config` is what its engines are."""

    def __init__(self, app: str, config: str) -> None:
        self._app, self._config = app, config
        self._owners: dict[str, asyncio.Future[None]] = {}
        self._ending = False

    async def join(self, name: str, owner: Any, config: str) -> bool | None:
        """Take an owner; whether it is the first, whose job starts the engines. Raises ValueError: others run.

        None where these engines are being deleted. (To wait for that here would keep this actor from ending.)
        """
        if self._ending:
            return None
        if config != self._config:
            raise ValueError(self._config)
        first = not self._owners
        self._owners[name] = asyncio.ensure_future(self._wait(name, owner))
        return first

    async def leave(self, name: str) -> bool:
        """Let an owner go whose job goes on; whether it is the last, whose job then deletes the application.

        The last one is held on to: should its job die over it, the application is deleted here.
        """
        self._ending = len(self._owners) == 1
        if not self._ending:
            self._owners.pop(name).cancel()
        return self._ending

    async def end(self, name: str) -> None:
        """The application is deleted: let the last owner go, and end."""
        self._owners.pop(name).cancel()
        ray.actor.exit_actor()

    async def _wait(self, name: str, owner: Any) -> None:
        with suppress(RayActorError):
            await owner.hold.remote()
        self._owners.pop(name, None)
        if not self._owners:
            self._ending = True
            await asyncio.to_thread(delete, self._app)
            ray.actor.exit_actor()


class Lease:
    """This process's hold on an application. Held as long as the process lives, or until `end`."""

    def __init__(self, app: str, config: str) -> None:
        """Take hold. Raises ValueError where the application's engines are others than `config`, with what they are."""
        self.app = app
        # Elsewhere it could be lost with a node while the job goes on, and its engines would be ended.
        self._owner = _Owner.options(scheduling_strategy=here()).remote()  # type: ignore[attr-defined]  # Ray: no types
        self._name = self._owner._actor_id.hex()
        while True:
            options = _Reaper.options(name=f"{REAPER}{app}", namespace=NAMESPACE, get_if_exists=True)  # type: ignore[attr-defined]
            self._reaper = options.remote(app, config)
            try:
                first = ray.get(self._reaper.join.remote(self._name, self._owner, config))
            except RayActorError:
                continue  # it has just ended
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            if first is not None:
                self.first: bool = first
                return
            time.sleep(ENDING_S)

    def end(self) -> None:
        """Let go, and return when the engines have ended, if nobody else holds them."""
        try:
            with suppress(RayActorError):
                if ray.get(self._reaper.leave.remote(self._name)):
                    delete(self.app)
                    ray.get(self._reaper.end.remote(self._name))
        finally:
            # The reaper waits on it still, and would not end, nor free its name for the next one of this application.
            # Where the deletion failed, it now tries it itself.
            ray.kill(self._owner)


def delete(app: str) -> None:
    """Delete an application, and no other one of the cluster; return when its engines have ended."""
    from ray import serve

    with suppress(TimeoutError):  # then the controller goes on with it by itself
        serve.delete(app)


def sweep() -> tuple[list[str], list[str]]:
    """Delete the applications of ours that nobody holds: what was deleted, and what is in use."""
    from ray import serve

    every = {actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True)}
    apps = [app for app in serve.status().applications if app.startswith(PREFIX)]
    used = [app for app in apps if f"{REAPER}{app}" in every]
    left = [app for app in apps if app not in used]
    for app in left:
        delete(app)
    return left, used

"""Reaper: ends the engines of runs that have ended, however they ended.

Serve keeps applications when their driver exits, is killed, or loses its node. So each application has a reaper: a
detached actor that waits for the owners of all jobs that use the engines. An owner is an actor of a job and dies with
it. When the last owner is gone, the reaper deletes the application and exits. A job that ends normally deletes the
application itself, because importing Serve would take the reaper's process seconds.
"""

import asyncio
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayActorError

from oasis_ray.cluster.nodes import NODE_TOKEN

PREFIX = "oasis-"  # of the names of all our applications
REAPER = "reaper-"
HEAD = "node:__internal_head__"  # Ray's resource of the head node


@ray.remote(num_cpus=0)
class Owner:
    """Owner of a lease: an actor that lives as long as its driver's job."""

    async def hold(self) -> None:
        """Never return: a caller learns of this actor's end by RayActorError."""
        await asyncio.Event().wait()


# On the head node, which lives as long as the cluster. Not restarted: a new one would have no owners. If the head is
# lost and returns, `sweep` finds the engines without a reaper.
@ray.remote(num_cpus=0, resources={HEAD: NODE_TOKEN}, lifetime="detached", max_restarts=0)
class Reaper:
    """Reaper of an application: deletes it when the last owner is gone, then exits. `config` is that of its engines."""

    def __init__(self, app: str, config: str) -> None:
        self._app, self._config = app, config
        self._owners: dict[str, asyncio.Future[None]] = {}
        self._ending = False

    async def join(self, name: str, owner: Any, config: str) -> bool | None:
        """Add an owner. Return whether it is the first, whose job starts the engines; None if they are being deleted.

        Does not wait for the deletion, which would keep this actor from exiting. Raises ValueError with the running
        configuration if `config` differs.
        """
        if self._ending:
            return None
        if config != self._config:
            raise ValueError(self._config)
        first = not self._owners
        self._owners[name] = asyncio.ensure_future(self._wait(name, owner))
        return first

    async def leave(self, name: str) -> bool:
        """Remove an owner whose job continues. Return whether it is the last, whose job then deletes the application.

        The last owner is kept until `end`: if its job dies before, the reaper deletes the application.
        """
        self._ending = len(self._owners) == 1
        if not self._ending:
            self._owners.pop(name).cancel()
        return self._ending

    async def end(self, name: str) -> None:
        """Remove the last owner after its job has deleted the application, and exit."""
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


def delete(app: str) -> None:
    """Delete one application; return when its engines have ended."""
    from ray import serve

    with suppress(TimeoutError):  # then Serve's controller continues on its own
        serve.delete(app)


def sweep() -> tuple[list[str], list[str]]:
    """Delete our applications that have no reaper. Return the deleted ones and those in use."""
    from ray import serve

    actors = {actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True)}
    apps = [app for app in serve.status().applications if app.startswith(PREFIX)]
    used = [app for app in apps if f"{REAPER}{app}" in actors]
    unused = [app for app in apps if app not in used]
    for app in unused:
        delete(app)
    return unused, used

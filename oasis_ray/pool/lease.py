"""Lease: a job's hold on a Serve application. The application ends with its last lease (`reaper`)."""

import time
from contextlib import suppress

import ray
from ray.exceptions import RayActorError

from oasis_ray.cluster.connection import NAMESPACE, on_this_node
from oasis_ray.pool.reaper import REAPER, Owner, Reaper, delete

ENDING_S = 0.5  # interval of retries while the engines are being deleted


class Lease:
    """Lease on a Serve application, held until `end` or the end of this process."""

    def __init__(self, app: str, config: str) -> None:
        """Acquire a lease. Raises ValueError, with the configuration of the running engines, if it is not `config`."""
        self.app = app
        # On another node it could be lost while the job continues, and the job's engines would end.
        self._owner = Owner.options(scheduling_strategy=on_this_node()).remote()  # type: ignore[attr-defined]
        self._name = self._owner._actor_id.hex()
        while True:
            options = Reaper.options(name=f"{REAPER}{app}", namespace=NAMESPACE, get_if_exists=True)  # type: ignore[attr-defined]
            self._reaper = options.remote(app, config)
            try:
                first = ray.get(self._reaper.join.remote(self._name, self._owner, config))
            except RayActorError:
                continue  # the reaper has just exited
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            if first is not None:
                self.first: bool = first
                return
            time.sleep(ENDING_S)

    def end(self) -> None:
        """Release the lease. If it was the last one, return when the engines have ended."""
        try:
            with suppress(RayActorError):
                if ray.get(self._reaper.leave.remote(self._name)):
                    delete(self.app)
                    ray.get(self._reaper.end.remote(self._name))
        finally:
            # The reaper still waits for the owner, so it would not exit and free its name for the application's next
            # reaper. If the deletion failed, the reaper now retries it.
            ray.kill(self._owner)

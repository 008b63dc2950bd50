"""Pools: identical engines of one model as a Ray Serve deployment that belongs to the run.

Each replica holds one engine, pinned to its GPUs by a placement group; on CPUs the same, with zero GPUs. All requests
of a row carry its id as session, so Serve's consistent-hash router sends them to the replica that has its image in
the prefix and encoder caches. Serve keeps deployments when their driver ends, however it ends; a janitor, an actor
outside the job, waits for the driver's end and deletes them.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
import ray
from ray import serve
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from ray.serve.exceptions import BackPressureError, ReplicaUnavailableError
from ray.serve.schema import LoggingConfig

from oasis_ray.autoscaler import verdict
from oasis_ray.engine import open_engine
from oasis_ray.errors import EngineLostError, FitError, OasisError, RunError
from oasis_ray.job import Pool
from oasis_ray.metrics import Duty, Meter
from oasis_ray.rows import Call, Reply

ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
LOOK_S = 2.0  # between two looks at pools that start
SILENT_S = 90.0  # an autoscaler that starts no node for engines that wait has died, or may start no more
UPSCALE_S = 10  # a load that has been too high for this long asks for another engine
GRACE_S = 20  # for calls in flight when there is one engine too many
STATES = {"RUNNING": "running", "PENDING_MIGRATION": "running", "STOPPING": "stopping"}  # Serve has more for starting
CPU_BUNDLE = {"CPU": 0.1}  # an engine on CPUs takes what is free; the placement group needs some resource to hold


class Replica:
    """A Serve replica: one engine. It starts when the replica does, so a replica that runs is ready."""

    def __init__(self, pool: Pool, labels: Mapping[str, str], *, gpus: bool) -> None:
        self._engine = open_engine(pool, gpus=gpus)
        self._duty = Duty(Meter(**labels))

    async def ask(self, call: Call) -> Reply:
        """Answer one call. A replica whose engine is lost ends at once, and Serve starts another."""
        try:
            with self._duty.request():
                return await self._engine.ask(call)
        except EngineLostError as error:
            _end(error)
            raise

    async def check_health(self) -> None:
        """Serve asks this every few seconds."""
        self._duty.tell()
        try:
            await self._engine.check()
        except EngineLostError as error:
            _end(error)


def _end(reason: EngineLostError) -> None:
    """End this process and what it has started, at once: those who wait for it are to hear of it."""
    logging.getLogger("ray.serve").error("this engine is given up: %s", reason)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(1)


@dataclass
class PoolHandle:
    """The way from a node to a pool, from any process of the cluster."""

    app: str
    name: str
    _handle: Any = None

    async def ask(self, call: Call) -> Reply:
        """Answer one call on the replica that its row sticks to.

        Raises what the engine raised, or EngineLostError where the replica has died: it takes its calls with it.
        """
        self._handle = self._handle or serve.get_app_handle(self.app)
        while True:
            try:
                reply: Reply = await self._handle.options(session_id=call.row).ask.remote(call)
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


def placement(pool: Pool, *, gpus: bool) -> tuple[list[dict[str, float]], str]:
    """The bundles of one engine and how they are placed: a tensor-parallel group stays on one node."""
    if not gpus:
        return [CPU_BUNDLE], "PACK"
    return [{"GPU": pool.gpu_share}] * pool.gpus_per_engine, "STRICT_PACK" if pool.pipeline_parallel == 1 else "PACK"


def start_pools(
    pools: Mapping[str, Pool], run: str, *, gpus: Mapping[str, bool], labels: dict[str, str] | None = None
) -> dict[str, PoolHandle]:
    """Start all pools at once and return when each has its least number of engines. Raises RunError where one fails.

    `labels` are those of the run's metrics.
    """
    serve.start(proxy_location="Disabled", logging_config=LoggingConfig(enable_access_log=False, log_level="WARNING"))
    handles = {name: PoolHandle(_app(run, name), name) for name in pools}
    labels = labels or {"run": run, "session": run}
    _keep_watch([handle.app for handle in handles.values()])
    targets = [
        serve.RunTarget(
            _application(pool, labels | {"pool": name}, gpus=gpus[name]), name=handles[name].app, route_prefix=None
        )
        for name, pool in pools.items()
    ]
    # In a thread: it waits for engines, and an engine may wait for a node that never comes.
    starting = ThreadPoolExecutor(1).submit(serve.run_many, targets, _local_testing_mode=False)
    try:
        deadline = time.monotonic() + max(pool.start_timeout_s for pool in pools.values()) + GRACE_S
        silent = time.monotonic()
        while not wait([starting], timeout=LOOK_S).done:
            if lost := impossible(handles):
                raise FitError(lost)
            said = verdict()
            if not said or said.coming or not any(said.waiting.get(handle.app) for handle in handles.values()):
                silent = time.monotonic()
            if time.monotonic() - silent > SILENT_S:
                raise RunError(f"engines wait for nodes, and the autoscaler starts none: {states(handles)}")
            if time.monotonic() > deadline:
                raise RunError(f"the pools did not come up within start_timeout_s: {states(handles)}")
        starting.result()
    except BaseException as error:
        cause = _cause(handles, error)
        stop_pools(handles)
        if isinstance(error, RuntimeError):
            raise RunError(f"the pools did not come up: {cause}") from None
        raise
    return handles


def impossible(handles: Mapping[str, PoolHandle]) -> str:
    """Which pools have no engine and wait for a node that this cluster can't start; nothing where there are none."""
    said = verdict()
    lost = [name for name, handle in handles.items() if said and said.impossible.get(handle.app)]
    applications = serve.status().applications if lost else {}
    told = []
    for name in lost:
        app = applications.get(handles[name].app)
        running = [d.replica_states.get("RUNNING", 0) for d in app.deployments.values()] if app else []
        if not any(running):
            told.append(f"pool '{name}': no node type of this cluster can hold its engine, or all are at max_workers")
    return "\n".join(told)


def stop_pools(handles: Mapping[str, PoolHandle]) -> None:
    """Delete the pools' applications, and no other application of the cluster."""
    with ThreadPoolExecutor() as threads:  # each waits for its engines to end
        list(threads.map(_delete, [handle.app for handle in handles.values()]))


def _delete(app: str) -> None:
    with suppress(TimeoutError):  # then the controller goes on with it by itself
        serve.delete(app)


def states(handles: Mapping[str, PoolHandle]) -> str:
    """How each pool stands, in plain words: engines by state, and what Serve says where it is not well."""
    told = []
    applications = serve.status().applications
    for name, handle in handles.items():
        app = applications.get(handle.app)
        for deployment in app.deployments.values() if app else ():
            engines = ", ".join(f"{n} {str(state).lower()}" for state, n in deployment.replica_states.items())
            said = f" ({deployment.message.strip().splitlines()[-1]})" if deployment.message.strip() else ""
            told.append(f"pool '{name}': {engines or 'no engine'}{said}")
    if (scaling := verdict()) is not None:
        told.append(str(scaling))
    return "; ".join(told)


def standing(run: str, pools: Iterable[str]) -> dict[str, dict[str, int]]:
    """For each pool its engines that are starting, running and stopping."""
    applications = serve.status().applications
    found = {}
    for name in pools:
        app, engines = applications.get(_app(run, name)), dict.fromkeys(("starting", "running", "stopping"), 0)
        for deployment in app.deployments.values() if app else ():
            for state, count in deployment.replica_states.items():
                engines[STATES.get(state, "starting")] += count
        found[name] = engines
    return found


def _app(run: str, pool: str) -> str:
    return f"{run}-{pool}"


def _application(pool: Pool, labels: dict[str, str], *, gpus: bool) -> serve.Application:
    bundles, strategy = placement(pool, gpus=gpus)
    least, most = pool.replicas
    size: dict[str, Any] = {"num_replicas": least}
    if most > least:
        target = max(1, pool.max_sequences // 2)
        scaling = AutoscalingConfig(
            min_replicas=least,
            max_replicas=most,
            initial_replicas=least,
            target_ongoing_requests=target,
            upscale_delay_s=UPSCALE_S,
            downscale_delay_s=pool.idle_s,
        )
        size = {"autoscaling_config": scaling}
    deployment = serve.deployment(
        Replica,
        name=labels["pool"],
        placement_group_bundles=bundles,
        placement_group_strategy=strategy,
        ray_actor_options={"num_cpus": 0, "num_gpus": 0},
        max_ongoing_requests=2 * pool.max_sequences,
        request_router_config=RequestRouterConfig(request_router_class=ROUTER),
        graceful_shutdown_timeout_s=GRACE_S,
        health_check_period_s=5,
        **size,
    )
    return deployment.bind(pool, labels, gpus=gpus)


def _cause(handles: Mapping[str, PoolHandle], error: BaseException) -> str:
    """What Serve knows of the failure: the last exception of each failed trace, with the lines that explain it."""
    told = []
    for name, handle in handles.items():
        app = serve.status().applications.get(handle.app)
        for deployment in app.deployments.values() if app else ():
            lines = [line.strip() for line in deployment.message.splitlines() if line.strip()]
            named = [i for i, line in enumerate(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)]
            if named:
                cause = " ".join(lines[named[-1] : named[-1] + 3]).removeprefix("oasis_ray.errors.RunError: ")
                told.append(f"pool '{name}': {cause}")
    return "; ".join(told) or str(error)


@ray.remote(num_cpus=0)
class _Leash:
    """Lives as long as the driver's job."""

    async def hold(self) -> None:
        await asyncio.Event().wait()


@ray.remote(num_cpus=0, lifetime="detached", max_restarts=-1)
class _Janitor:
    """Deletes the run's applications when the leash is gone, and ends."""

    async def watch(self, leash: Any, apps: list[str]) -> None:
        self._task = asyncio.ensure_future(self._wait(leash, apps))

    async def _wait(self, leash: Any, apps: list[str]) -> None:
        with suppress(RayActorError):
            await leash.hold.remote()
        for app in apps:
            await asyncio.to_thread(_delete, app)
        ray.actor.exit_actor()


_leash: Any = None


def _keep_watch(apps: list[str]) -> None:
    global _leash  # held as long as this process lives
    _leash = _Leash.options(name=f"leash-{apps[0]}").remote()  # type: ignore[attr-defined]  # Ray ships no types
    janitor = _Janitor.options(name=f"janitor-{apps[0]}", namespace="oasis_ray").remote()  # type: ignore[attr-defined]
    ray.get(janitor.watch.remote(_leash, apps))

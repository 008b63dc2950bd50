"""Pools: identical engines of one model as a Ray Serve deployment that belongs to the run.

Each replica holds one engine, pinned to its GPUs by a placement group; on CPUs the same, with zero GPUs. A pool with
several types of GPU has an application for each (`kinds`). The engines end with their run, however it ends (`janitor`);
engines with a name of their own (`shared`) are used by all jobs that name them, and end with the last one.
"""

import re
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Thread
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from ray.serve.schema import LoggingConfig

from oasis_ray.autoscaler import Verdict, verdict
from oasis_ray.capacity import engines_on_cpus, placement
from oasis_ray.errors import FitError, JobError, RunError
from oasis_ray.handle import PoolHandle, lean
from oasis_ray.janitor import PREFIX, Lease
from oasis_ray.job import Pool
from oasis_ray.kinds import Kind, kinds
from oasis_ray.replica import Replica

ROUTER = "oasis_ray.router.StickyRouter"
LOOK_S = 2.0  # between two looks at pools that start
SILENT_S = 90.0  # an autoscaler that starts no node for engines that wait has died, or may start no more
UPSCALE_S = 10  # a load that has been too high for this long asks for another engine
GRACE_S = 20  # for calls in flight when there is one engine too many
DRAIN_S = 0.5  # between two looks of such an engine whether there are any; Serve takes four times as long
_leases: dict[str, Lease] = {}  # of this process, by application: what is not held ends
STATES = {"RUNNING": "running", "PENDING_MIGRATION": "running", "STOPPING": "stopping"}  # Serve has more for starting
QUIET = LoggingConfig(enable_access_log=False, log_level="WARNING")  # a line a request cost a tenth of Serve's CPU


def start_pools(
    pools: Mapping[str, Pool], run: str, *, gpus: Mapping[str, bool], labels: dict[str, str] | None = None
) -> dict[str, PoolHandle]:
    """Start all pools at once and return when each has its least number of engines. Raises RunError where one fails.

    `labels` are those of the run's metrics.
    """
    if not pools:  # a recipe whose stages ask no model
        return {}
    serve.start(proxy_location="Disabled", logging_config=QUIET)
    every = {_app(run, kind): kind for kind in kinds(pools)}
    handles = {
        name: PoolHandle(
            name,
            {app: kind.make.replicas[1] * kind.make.max_sequences for app, kind in every.items() if kind.pool == name},
        )
        for name in pools
    }
    labels, sharing = labels or {"run": run, "session": run}, engines_on_cpus(pools, gpus)
    try:
        with ThreadPoolExecutor() as threads:  # each starts two processes
            list(threads.map(_take_hold, every, (kind.make for kind in every.values())))
        targets = [
            serve.RunTarget(
                _application(kind.make, labels | {"pool": kind.pool}, gpus=gpus[kind.pool], sharing=sharing),
                name=app,
                route_prefix=None,
            )
            for app, kind in every.items()
            if _leases[app].first
        ]
        _wait(
            _begin(targets, list(every)),
            handles,
            max(pool.start_timeout_s for pool in pools.values()) + GRACE_S,
        )
    except RuntimeError as error:
        cause = _cause(handles, error)
        stop_pools(handles)
        raise RunError(f"the pools did not come up: {cause}") from None
    except BaseException:
        stop_pools(handles)
        raise
    return handles


def _wait(starting: "Future[None]", handles: Mapping[str, PoolHandle], patience_s: float) -> None:
    """Return when the engines are up. Raises FitError or RunError where they won't be, or what starting them raised."""
    began = silent = time.monotonic()
    while not wait([starting], timeout=LOOK_S).done:
        said, now = verdict(), time.monotonic()
        if lost := impossible(handles, said):
            raise FitError(lost)
        if not said or said.coming or not any(said.waiting.get(app) for app in _apps(handles)):
            silent = now
        if now - silent > SILENT_S:
            raise RunError(f"engines wait for nodes, and the autoscaler starts none: {states(handles)}")
        if now - began > patience_s:
            raise RunError(f"the pools did not come up within start_timeout_s: {states(handles)}")
    starting.result()


def _take_hold(app: str, pool: Pool) -> None:
    try:
        _leases[app] = Lease(app, pool.model_dump_json())
    except ValueError as error:
        told = f"the engines '{pool.shared}' that run on this cluster (pools.*.shared) are others: {error}"
        raise JobError([told]) from None


def _begin(targets: list[serve.RunTarget], apps: list[str]) -> "Future[None]":
    """Start applications in a thread that nobody waits for: an engine may wait for a node that never comes."""
    started: Future[None] = Future()

    def run() -> None:
        try:
            started.set_result(_start(targets, apps))  # type: ignore[func-returns-value]
        except BaseException as error:
            started.set_exception(error)

    Thread(target=run, daemon=True).start()
    return started


def _start(targets: list[serve.RunTarget], apps: list[str]) -> None:
    """Start these applications, and return when all of `apps` are up, also those that another job starts."""
    if targets:
        serve.run_many(targets, _local_testing_mode=False)
    deadline = time.monotonic() + SILENT_S  # for an application that another job is about to start
    while rest := {app: state for app in apps if (state := _state(app)) != "RUNNING"}:
        late = ("NOT_STARTED", "DELETING") if time.monotonic() > deadline else ()
        if lost := [app for app, state in rest.items() if state in ("DEPLOY_FAILED", *late)]:
            raise RuntimeError(f"the engines that another job was to start are not there: {', '.join(lost)}")
        time.sleep(LOOK_S)


def _state(app: str) -> str:
    found = serve.status().applications.get(app)
    return str(found.status.value) if found else "NOT_STARTED"


def impossible(handles: Mapping[str, PoolHandle], said: Verdict | None) -> str:
    """Which pools have no engine and wait for a node that this cluster can't start; nothing where there are none."""
    lost = {app: name for app, name in _apps(handles).items() if said and said.impossible.get(app)}
    applications = serve.status().applications if lost else {}
    told = []
    for application, name in lost.items():
        app = applications.get(application)
        running = [d.replica_states.get("RUNNING", 0) for d in app.deployments.values()] if app else []
        if not any(running):
            told.append(f"pool '{name}': no node type of this cluster can hold its engine, or all are at max_workers")
    return "\n".join(told)


def stop_pools(handles: Mapping[str, PoolHandle]) -> None:
    """End the pools' engines, but for those that another job holds too, and no other application of the cluster."""
    with ThreadPoolExecutor() as threads:  # each waits for its engines to end
        held = [_leases.pop(app) for app in _apps(handles) if app in _leases]
        list(threads.map(Lease.end, held))


def states(handles: Mapping[str, PoolHandle]) -> str:
    """How each pool stands, in plain words: engines by state, and what Serve says where it is not well."""
    told = []
    applications = serve.status().applications
    for application, name in _apps(handles).items():
        app = applications.get(application)
        for deployment in app.deployments.values() if app else ():
            engines = ", ".join(f"{n} {str(state).lower()}" for state, n in deployment.replica_states.items())
            said = f" ({deployment.message.strip().splitlines()[-1]})" if deployment.message.strip() else ""
            told.append(f"pool '{name}': {engines or 'no engine'}{said}")
    if (scaling := verdict()) is not None:
        told.append(str(scaling))
    return "; ".join(told)


def standing(run: str, pools: Mapping[str, Pool]) -> list[tuple[Kind, dict[str, int]]]:
    """For each kind of engine how many are starting, running and stopping."""
    applications = serve.status().applications
    found = []
    for kind in kinds(pools):
        app, engines = applications.get(_app(run, kind)), dict.fromkeys(("starting", "running", "stopping"), 0)
        for deployment in app.deployments.values() if app else ():
            for state, count in deployment.replica_states.items():
                engines[STATES.get(state, "starting")] += count
        found.append((kind, engines))
    return found


def _apps(handles: Mapping[str, PoolHandle]) -> dict[str, str]:
    """The pool of each application."""
    return {app: name for name, handle in handles.items() for app in handle.apps}


def _app(run: str, kind: Kind) -> str:
    name = f"{PREFIX}shared-{kind.make.shared}" if kind.make.shared else f"{run}-{kind.pool}"
    return f"{name}-{kind.make.gpu_type}" if kind.make.gpu_type else name


def _application(pool: Pool, labels: dict[str, str], *, gpus: bool, sharing: int) -> serve.Application:
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
        ray_actor_options={"num_cpus": 0, "num_gpus": 0, "runtime_env": lean()},
        max_ongoing_requests=2 * pool.max_sequences,
        request_router_config=RequestRouterConfig(request_router_class=ROUTER),
        graceful_shutdown_timeout_s=GRACE_S,
        graceful_shutdown_wait_loop_s=DRAIN_S,
        logging_config=QUIET,
        health_check_period_s=5,
        **size,
    )
    return deployment.bind(pool, labels, gpus=gpus, sharing=max(1, sharing))


def _cause(handles: Mapping[str, PoolHandle], error: RuntimeError) -> str:
    """What Serve knows of the failure: the last exception of each failed trace, with the lines that explain it."""
    told = []
    for application, name in _apps(handles).items():
        app = serve.status().applications.get(application)
        for deployment in app.deployments.values() if app else ():
            lines = [line.strip() for line in deployment.message.splitlines() if line.strip()]
            named = [i for i, line in enumerate(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)]
            if named:
                cause = " ".join(lines[named[-1] : named[-1] + 3]).removeprefix("oasis_ray.errors.RunError: ")
                told.append(f"pool '{name}': {cause}")
    return "; ".join(told) or str(error)

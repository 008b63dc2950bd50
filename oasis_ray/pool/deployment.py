"""Deployments: a pool's engines as a Ray Serve deployment that the run owns.

Each replica holds one engine, pinned to its GPUs by a placement group (on CPUs: with zero GPUs). A pool with several
types of GPU has one application per type (`replica_groups`). Engines end with their run, however it ends (`lease`);
engines with a name (`shared`) are used by all jobs that name them, and end with the last of these.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Thread
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from ray.serve.schema import LoggingConfig

from oasis_ray.cluster.autoscaler import verdict
from oasis_ray.errors import FitError, JobError, RunError
from oasis_ray.job.pool import Pool
from oasis_ray.pool.handle import PoolHandle, worker_env
from oasis_ray.pool.lease import Lease
from oasis_ray.pool.placement import engines_on_cpus, placement
from oasis_ray.pool.replica import Replica
from oasis_ray.pool.replica_groups import ReplicaGroup, replica_groups
from oasis_ray.pool.status import app_of, apps_of, cause_of, impossible, state_of, states

ROUTER = "oasis_ray.pool.router.StickyRouter"
LOOK_S = 2.0  # interval of checks on pools that start
SILENT_S = 90.0  # an autoscaler that starts no node for this long has died or is at its limit
UPSCALE_S = 10  # another engine starts when the load has been too high for this long
GRACE_S = 20  # for calls in flight when an engine is scaled down
DRAIN_S = 0.5  # interval of its checks for such calls; a quarter of Serve's default
QUIET = LoggingConfig(enable_access_log=False, log_level="WARNING")  # a log line per request took 10% of Serve's CPU


class Deployments:
    """The Serve applications of a session, with a lease on each: an application without leases ends."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}  # by application

    def start(
        self, pools: Mapping[str, Pool], run: str, *, gpus: Mapping[str, bool], labels: dict[str, str] | None = None
    ) -> dict[str, PoolHandle]:
        """Start all pools in parallel; return when each has its minimum number of engines.

        `labels` are the labels of the run's metrics. Raises FitError, JobError (a shared pool differs) or RunError.
        """
        if not pools:  # a recipe without models
            return {}
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        groups = {app_of(run, group): group for group in replica_groups(pools)}
        handles = {name: PoolHandle(name, _capacities(name, groups)) for name in pools}
        labels, sharing = labels or {"run": run, "session": run}, engines_on_cpus(pools, gpus)
        try:
            with ThreadPoolExecutor() as threads:  # each lease starts two processes
                list(threads.map(self._lease, groups, (group.config for group in groups.values())))
            targets = [
                serve.RunTarget(
                    _application(group.config, labels | {"pool": group.pool}, gpus=gpus[group.pool], sharing=sharing),
                    name=app,
                    route_prefix=None,
                )
                for app, group in groups.items()
                if self._leases[app].first
            ]
            patience_s = max(pool.start_timeout_s for pool in pools.values()) + GRACE_S
            _wait(_begin(targets, list(groups)), handles, patience_s)
        except RuntimeError as error:
            cause = cause_of(handles, error)
            self.stop(handles)
            raise RunError(f"the pools did not come up: {cause}") from None
        except BaseException:
            self.stop(handles)
            raise
        return handles

    def stop(self, handles: Mapping[str, PoolHandle]) -> None:
        """End the engines of these pools, except those that other jobs hold."""
        with ThreadPoolExecutor() as threads:  # each waits for its engines to end
            leases = [self._leases.pop(app) for app in apps_of(handles) if app in self._leases]
            list(threads.map(Lease.end, leases))

    def _lease(self, app: str, pool: Pool) -> None:
        try:
            self._leases[app] = Lease(app, pool.model_dump_json())
        except ValueError as error:
            problem = f"the running engines '{pool.shared}' (pools.*.shared) have a different configuration"
            raise JobError([f"{problem}: {error}"]) from None


def _capacities(pool: str, groups: Mapping[str, ReplicaGroup]) -> dict[str, int]:
    """Return how many sequences each application of a pool can process at once."""
    return {
        app: group.config.replicas[1] * group.config.max_sequences
        for app, group in groups.items()
        if group.pool == pool
    }


def _wait(starting: "Future[None]", handles: Mapping[str, PoolHandle], patience_s: float) -> None:
    """Return when the engines are up. Raises FitError or RunError if they won't be, or the error of their start."""
    began = progressed = time.monotonic()
    while not wait([starting], timeout=LOOK_S).done:
        report, now = verdict(), time.monotonic()
        if problem := impossible(handles, report):
            raise FitError(problem)
        if not report or report.coming or not any(report.waiting.get(app) for app in apps_of(handles)):
            progressed = now
        if now - progressed > SILENT_S:
            raise RunError(f"engines wait for nodes, but the autoscaler starts none: {states(handles)}")
        if now - began > patience_s:
            raise RunError(f"the pools did not come up within start_timeout_s: {states(handles)}")
    starting.result()


def _begin(targets: list[serve.RunTarget], apps: list[str]) -> "Future[None]":
    """Start applications in a daemon thread, because an engine may wait forever for a node."""
    started: Future[None] = Future()

    def run() -> None:
        try:
            started.set_result(_start(targets, apps))  # type: ignore[func-returns-value]
        except BaseException as error:
            started.set_exception(error)

    Thread(target=run, daemon=True).start()
    return started


def _start(targets: list[serve.RunTarget], apps: list[str]) -> None:
    """Start `targets`; return when all of `apps` are up, including those that other jobs start."""
    if targets:
        serve.run_many(targets, _local_testing_mode=False)
    deadline = time.monotonic() + SILENT_S  # for an application that another job is about to start
    while pending := {app: state for app in apps if (state := state_of(app)) != "RUNNING"}:
        late = ("NOT_STARTED", "DELETING") if time.monotonic() > deadline else ()
        if failed := [app for app, state in pending.items() if state in ("DEPLOY_FAILED", *late)]:
            names = ", ".join(failed)
            raise RuntimeError(f"these engines failed to start, or the job that was to start them did not: {names}")
        time.sleep(LOOK_S)


def _application(pool: Pool, labels: dict[str, str], *, gpus: bool, sharing: int) -> serve.Application:
    bundles, strategy = placement(pool, gpus=gpus)
    minimum, maximum = pool.replicas
    size: dict[str, Any] = {"num_replicas": minimum}
    if maximum > minimum:
        target = max(1, pool.max_sequences // 2)
        scaling = AutoscalingConfig(
            min_replicas=minimum,
            max_replicas=maximum,
            initial_replicas=minimum,
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
        ray_actor_options={"num_cpus": 0, "num_gpus": 0, "runtime_env": worker_env()},
        max_ongoing_requests=2 * pool.max_sequences,
        request_router_config=RequestRouterConfig(request_router_class=ROUTER),
        graceful_shutdown_timeout_s=GRACE_S,
        graceful_shutdown_wait_loop_s=DRAIN_S,
        logging_config=QUIET,
        health_check_period_s=5,
        **size,
    )
    return deployment.bind(pool, labels, gpus=gpus, sharing=max(1, sharing))

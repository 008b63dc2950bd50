"""The connection to a Ray cluster: join one or start one here, and list its nodes."""

import logging
import os
import socket

import ray
import ray.data  # configures its logger, which `join` quietens
import ray.serve
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from oasis_ray.cluster.nodes import Node
from oasis_ray.errors import RunError

NAMESPACE = "oasis_ray"

CONNECT_S = 8.0  # for a cluster's head to take a connection


def join(cpus: int | None = None) -> None:
    """Join the cluster that this process belongs to (a submitted job, RAY_ADDRESS), else start one here.

    One that is started has this machine's CPUs, or is told that it has `cpus`.
    """
    if not ray.is_initialized():
        # Replicas are asked by gRPC, which would send what goes from node to node through a company's proxy.
        os.environ.setdefault("grpc_proxy", "")
        try:
            _refuse_absent(os.environ.get("RAY_ADDRESS", ""))
            if os.environ.get("RAY_ADDRESS") or os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR"):
                ray.init(namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=False)
            else:
                # Ray warns of more worker processes than cores, which is as it should be here.
                os.environ.setdefault("RAY_worker_maximum_startup_concurrency", "16")
                ray.init(
                    address="local",
                    num_cpus=cpus,
                    namespace=NAMESPACE,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                )
        except (OSError, RuntimeError, ValueError) as error:
            raise RunError(_why(error)) from error
    for name in ("ray.data", "ray.serve"):
        for handler in logging.getLogger(name).handlers:
            # Their log files keep everything; on the terminal a run tells its own errors, once and in plain words.
            if type(handler).__module__ in ("logging", "ray._private.log"):
                handler.setLevel(logging.CRITICAL)


def _refuse_absent(address: str) -> None:
    """Raise ConnectionError where nobody listens at `HOST:PORT`: Ray would try again and again without a word."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()


def _why(error: Exception) -> str:
    """Why Ray did not start, and what to do."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "AF_UNIX path length" in str(error):
        return f"the temporary folder is too long for Ray's sockets; name a shorter one in RAY_TMPDIR ({said})"
    if isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError):
        return f"Ray can't write its token and logs ({said}); set HOME to a folder that can be written to"
    if address := os.environ.get("RAY_ADDRESS"):
        return f"there is no cluster to join at {address} (RAY_ADDRESS): {said}"
    return f"Ray did not start here: {said}"


def attach(address: str | None) -> None:
    """Join a cluster that is there. Raises RunError where none is."""
    try:
        ray.init(address=address or "auto", namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise RunError(f"there is no cluster to join at {address or 'this machine'}: {said}") from None


def nodes() -> list[Node]:
    """The nodes that are up."""
    return [Node(n["NodeManagerAddress"], n["Resources"], n["NodeID"]) for n in ray.nodes() if n["Alive"]]


def here() -> NodeAffinitySchedulingStrategy:
    """This process's node: what a driver starts there is lost with it, or not at all."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)

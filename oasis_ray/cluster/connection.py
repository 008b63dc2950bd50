"""Connection to a Ray cluster: join one or start one on this machine, and list its nodes."""

import logging
import os
import socket

import ray
import ray.data  # configures its logger, which `join` silences
import ray.serve
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from oasis_ray.cluster.nodes import Node
from oasis_ray.errors import RunError

NAMESPACE = "oasis_ray"

CONNECT_S = 8.0  # timeout for a connection to a cluster's head


def join(cpus: int | None = None) -> None:
    """Join the cluster that this process belongs to (a submitted job, RAY_ADDRESS), else start one on this machine.

    A cluster that is started has `cpus` CPUs (default: those of this machine). Raises RunError if Ray does not start.
    """
    if not ray.is_initialized():
        # Requests to replicas use gRPC, which would send traffic between nodes through an HTTP proxy.
        os.environ.setdefault("grpc_proxy", "")
        try:
            _check_listening(os.environ.get("RAY_ADDRESS", ""))
            if os.environ.get("RAY_ADDRESS") or os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR"):
                ray.init(namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=False)
            else:
                # Ray warns of more worker processes than cores, but here that is intended.
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
            # Their log files keep everything; on the terminal a run reports its errors itself, once.
            if type(handler).__module__ in ("logging", "ray._private.log"):
                handler.setLevel(logging.CRITICAL)


def _check_listening(address: str) -> None:
    """Raise OSError if nothing listens at `HOST:PORT`, where Ray would retry silently."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()


def _why(error: Exception) -> str:
    """Return why Ray did not start, and what to do."""
    message = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "AF_UNIX path length" in str(error):
        what = "the path of the temporary folder is too long for Ray's sockets"
        return f"{what}; set RAY_TMPDIR to a shorter one ({message})"
    if isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError):
        return f"Ray can't write its token and logs ({message}); set HOME to a writable folder"
    if address := os.environ.get("RAY_ADDRESS"):
        return f"can't join a cluster at {address} (RAY_ADDRESS): {message}"
    return f"Ray did not start: {message}"


def attach(address: str | None) -> None:
    """Join a running cluster. Raises RunError if there is none."""
    try:
        ray.init(address=address or "auto", namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        message = str(error).strip().splitlines()[0]
        raise RunError(f"can't join a cluster at {address or 'this machine'}: {message}") from None


def nodes() -> list[Node]:
    """Return the nodes that are up."""
    return [Node(n["NodeManagerAddress"], n["Resources"], n["NodeID"]) for n in ray.nodes() if n["Alive"]]


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """Return the strategy that places an actor on this process's node: if the node is lost, both are lost."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)

"""The manifests for KubeRay: built by kustomize, held against KubeRay's own schema, and read by Ray's autoscaler."""

import functools
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from oasis_ray.cli import SHIPPED, app
from oasis_ray.job.load import load_job
from tests.support.checkout import ROOT
from tests.support.cluster_files import DOCKERFILE, IMAGE, MANIFESTS, started

FOLDER = ROOT / "cluster/kuberay"
SCHEMAS = ROOT.parent / "shared" / "kuberay-crds"
STANDING, JOBS = ["on-demand", "spot"], ["paper-job", "small-job"]
GROUPS = {  # name: GPUs, most pods, priority, on spot nodes
    "on-demand": {"h200": (8, 2, 3, False), "h100": (8, 4, 2, False), "a100": (8, 4, 1, False), "l4": (1, 2, 3, False)},
    "spot": {
        "h200-spot": (8, 2, 3, True), "h100-spot": (8, 4, 2, True), "a100-spot": (8, 4, 1, True),
        "l4-spot": (1, 2, 3, True), "h100-on-demand": (8, 1, 0, False),
    },
    "small-job": {"l4": (1, 1, 3, False)},
}  # fmt: skip
GROUPS["paper-job"] = GROUPS["spot"]
each_overlay = pytest.mark.parametrize("overlay", [*STANDING, *JOBS])
each_job = pytest.mark.parametrize("overlay", JOBS)


@functools.cache
def built(overlay: str) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send of an overlay."""
    command = next(
        (words for words in (["kustomize", "build"], ["kubectl", "kustomize"]) if shutil.which(words[0])), None
    )
    if command is None:
        pytest.skip("MANIFESTS NOT CHECKED: neither kustomize nor kubectl is installed")
    done = subprocess.run([*command, FOLDER / "overlays" / overlay], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


def ray_object(overlay: str) -> dict[str, Any]:
    (found,) = (document for document in built(overlay) if document["apiVersion"] == "ray.io/v1")
    return found


def cluster_spec(overlay: str) -> dict[str, Any]:
    """The spec of the overlay's RayCluster, which stands by itself or in a RayJob."""
    spec: dict[str, Any] = ray_object(overlay)["spec"]
    return spec.get("rayClusterSpec", spec)


def pods(overlay: str) -> Iterator[dict[str, Any]]:
    """The template of every kind of pod of an overlay."""
    yield cluster_spec(overlay)["headGroupSpec"]["template"]
    yield from (group["template"] for group in cluster_spec(overlay)["workerGroupSpecs"])
    yield from (document["spec"]["template"] for document in built(overlay) if document["kind"] == "StatefulSet")


@functools.cache
def schema(kind: str) -> dict[str, Any]:
    """KubeRay's schema of a kind, in which an unknown key is an error, as `kubectl apply` has it."""
    if not SCHEMAS.is_dir():
        pytest.skip("MANIFESTS NOT HELD AGAINST KUBERAY'S SCHEMA: it is not beside the project")
    text = (SCHEMAS / f"ray.io_{kind.lower()}s.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 25,000 lines
    versions = yaml.load(text, loader)["spec"]["versions"]
    return strict(next(version["schema"]["openAPIV3Schema"] for version in versions if version["name"] == "v1"))


def strict(part: Any) -> Any:
    if isinstance(part, list):
        return [strict(each) for each in part]
    if not isinstance(part, dict):
        return part
    known = {key: strict(value) for key, value in part.items()}
    if isinstance(part.get("properties"), dict) and not part.get("x-kubernetes-preserve-unknown-fields"):
        known.setdefault("additionalProperties", False)
    return known


@each_overlay
def test_kuberay_knows_every_key(overlay: str) -> None:
    import jsonschema

    document = ray_object(overlay)
    rules = schema(document["kind"])
    rules["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own
    assert [error.message for error in jsonschema.Draft7Validator(rules).iter_errors(document)] == []


def test_the_schema_finds_a_misspelt_key() -> None:
    import jsonschema

    document = ray_object("spot") | {"spec": cluster_spec("spot") | {"enableInTreeAutoscalling": True}}
    (error,) = jsonschema.Draft7Validator(schema("RayCluster")["properties"]["spec"]).iter_errors(document["spec"])
    assert "enableInTreeAutoscalling" in error.message


@pytest.mark.parametrize(
    ("overlay", "kinds"),
    [(name, ["NetworkPolicy oasis", "PersistentVolumeClaim oasis-shared", "PodDisruptionBudget oasis-head",
             "PodDisruptionBudget oasis-redis", "RayCluster oasis", "Service oasis-redis", "StatefulSet oasis-redis"])
     for name in STANDING]
    + [(name, ["NetworkPolicy oasis", "PersistentVolumeClaim oasis-shared", "PodDisruptionBudget oasis-head",
               "RayJob oasis"]) for name in JOBS],
)  # fmt: skip
def test_an_overlay_holds_these_objects(overlay: str, kinds: list[str]) -> None:
    assert sorted(f"{document['kind']} {document['metadata']['name']}" for document in built(overlay)) == kinds


@each_overlay
def test_the_groups_of_workers(overlay: str) -> None:
    shown = {
        group["groupName"]: (
            int(group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]),
            group["maxReplicas"], group["priority"],
            "cloud.google.com/gke-spot" in group["template"]["spec"]["nodeSelector"],
        )
        for group in cluster_spec(overlay)["workerGroupSpecs"]
    }  # fmt: skip
    assert shown == GROUPS[overlay]
    assert {group["minReplicas"] for group in cluster_spec(overlay)["workerGroupSpecs"]} == {0}
    keys = {rule["key"] for pod in pods(overlay) for rule in pod["spec"].get("tolerations", [])}
    assert keys == {"nvidia.com/gpu", "cloud.google.com/gke-spot"}


@each_overlay
def test_rays_autoscaler_knows_what_a_pod_will_have(overlay: str) -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr as derive
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    cluster = {"metadata": {"name": "oasis", "namespace": "default"}, "spec": cluster_spec(overlay)}
    config = AutoscalingConfig(derive(cluster), skip_content_hash=True)
    kinds = config.get_node_type_configs()
    has = {name: (int(kind.resources["CPU"]), int(kind.resources.get("GPU", 0))) for name, kind in kinds.items()}
    assert has == {"headgroup": (0, 0)} | {
        name: (64 if gpus == 8 else 12, gpus) for name, (gpus, *_) in GROUPS[overlay].items()
    }
    assert {name: (kinds[name].max_worker_nodes, kinds[name].priority) for name in GROUPS[overlay]} == {
        name: (most, priority) for name, (_, most, priority, _) in GROUPS[overlay].items()
    }
    assert config.get_idle_timeout_s() == 300
    eight = [name for name, (gpus, *_) in GROUPS[overlay].items() if gpus == 8]
    assert list(started(kinds, 1, [1.0] * 4)) == eight[:1]
    assert list(started(kinds, 1, [1.0] * 4, gone=eight[:-1])) == eight[-1:]
    assert list(started(kinds, 2, [0.4])) == [name for name in GROUPS[overlay] if name.startswith("l4")]


@each_overlay
def test_the_head_has_no_gpu_and_its_dashboard_is_not_public(overlay: str) -> None:
    head = cluster_spec(overlay)["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    assert head["serviceType"] == "ClusterIP"
    assert {"enableIngress", "ingressOptions"} & head.keys() == set()
    assert "nvidia.com/gpu" not in head["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert {
        document["spec"].get("type", "ClusterIP") for document in built(overlay) if document["kind"] == "Service"
    } <= {"ClusterIP"}


@each_overlay
def test_the_token_comes_from_a_secret_that_no_file_holds(overlay: str) -> None:
    assert cluster_spec(overlay)["authOptions"] == {"mode": "token", "secretName": "oasis"}
    assert [document for document in built(overlay) if document["kind"] in ("Secret", "ConfigMap")] == []
    variables = [entry for pod in pods(overlay) for part in pod["spec"]["containers"] for entry in part.get("env", [])]
    literal = {entry["name"] for entry in variables if "value" in entry}
    assert literal == {"HF_HOME"}
    password = cluster_spec(overlay).get("gcsFaultToleranceOptions", {}).get("redisPassword")
    secret = {"valueFrom": {"secretKeyRef": {"name": "oasis", "key": "redis_password"}}}
    assert password == (secret if overlay in STANDING else None)


@each_overlay
def test_no_pod_is_root_or_can_become_it(overlay: str) -> None:
    uid = re.search(r"^ARG OASIS_UID=(\d+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert uid
    for pod in pods(overlay):
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        for part in pod["spec"]["containers"]:
            assert part["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
            if part["image"] == IMAGE:
                assert pod["spec"]["securityContext"]["runAsUser"] == int(uid[1])


@each_overlay
def test_the_network_policy_covers_every_pod_and_the_budget_the_head(overlay: str) -> None:
    selectors = {
        document["metadata"]["name"]: document["spec"].get("podSelector") or document["spec"]["selector"]
        for document in built(overlay) if document["kind"] in ("NetworkPolicy", "PodDisruptionBudget")
    }  # fmt: skip
    label = {"app.kubernetes.io/part-of": "oasis-ray"}
    assert selectors["oasis"] == {"matchLabels": label}
    assert all(label.items() <= pod["metadata"]["labels"].items() for pod in pods(overlay))
    assert selectors["oasis-head"] == {"matchLabels": label | {"ray.io/node-type": "head"}}  # KubeRay's own label
    # Of pods that no built-in controller owns, Kubernetes takes no other kind of budget.
    budgets = [document["spec"] for document in built(overlay) if document["kind"] == "PodDisruptionBudget"]
    assert {key for spec in budgets for key in spec} == {"minAvailable", "selector"}


def test_each_image_and_rays_version_stand_in_one_place() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in MANIFESTS)
    name, tag = IMAGE.split(":")
    assert (text.count(name), text.count(f"newTag: {tag}"), len(re.findall(r"newTag:", text))) == (1, 1, 2)
    images = {
        overlay: {part["image"] for pod in pods(overlay) for part in pod["spec"]["containers"]} for overlay in GROUPS
    }
    redis = "redis:7.4.2-bookworm"
    assert images == {"on-demand": {IMAGE, redis}, "spot": {IMAGE, redis}, "paper-job": {IMAGE}, "small-job": {IMAGE}}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert re.findall(r"rayVersion: (\S+)", text) == [
        requirement.split("==")[1] for requirement in wanted if requirement.startswith("ray[")
    ]


@each_job
def test_the_job_brings_the_cluster_of_its_overlay_and_takes_it_along(overlay: str) -> None:
    spec = ray_object(overlay)["spec"]
    assert {key: spec[key] for key in ("submissionMode", "shutdownAfterJobFinishes", "backoffLimit")} == {
        "submissionMode": "HTTPMode", "shutdownAfterJobFinishes": True, "backoffLimit": 3,
    }  # fmt: skip
    if overlay == "paper-job":
        standing = {key: value for key, value in cluster_spec("spot").items() if key != "gcsFaultToleranceOptions"}
        assert spec["rayClusterSpec"] == standing


@each_job
def test_the_job_runs_a_command_and_a_job_file_that_there_are(overlay: str) -> None:
    program, *words = shlex.split(ray_object(overlay)["spec"]["entrypoint"])
    assert program == "oasis-ray"
    commands = typer.main.get_command(app)
    with commands.make_context(program, list(words)) as context:
        verb, command, rest = commands.resolve_command(context, words)  # type: ignore[attr-defined]
        given = command.make_context(verb, rest, parent=context).params
    workdir = re.search(r"^WORKDIR (\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert workdir
    file = ROOT / Path(given["job_file"]).relative_to(workdir[1])
    assert (verb, file.stem) == ("run", overlay.removesuffix("-job"))
    job, _ = load_job(file, SHIPPED, given["sets"])
    assert (job.input.path, job.output.path) == {
        "paper-job": ("s3://my-bucket/shards/", "s3://my-bucket/runs/paper"),
        "small-job": ("/mnt/shared/shards/", "/mnt/shared/runs/small"),
    }[overlay]

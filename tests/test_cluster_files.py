"""The files for Ray's launcher: read by Ray's own code, and true to the machines they name."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from oasis_ray.cli import SHIPPED
from oasis_ray.cluster.capacity import fit
from oasis_ray.cluster.nodes import Node
from oasis_ray.errors import FitError
from oasis_ray.job.load import load_job
from oasis_ray.pool.placement import needs, on_gpus
from tests.support.checkout import ROOT
from tests.support.cluster_files import DOCKERFILE, IMAGE, MANIFESTS, started

LAUNCHER = sorted((ROOT / "cluster/ray").glob("*.yaml"))
CLOUDS = [path for path in LAUNCHER if path.stem != "on-premises"]
MACHINES = {
    "p5en.48xlarge": (192, 8, 141), "p5.48xlarge": (192, 8, 80), "p4de.24xlarge": (96, 8, 80),
    "g6.4xlarge": (16, 1, 24),
    "a3-ultragpu-8g": (224, 8, 141), "a3-highgpu-8g": (208, 8, 80), "a2-ultragpu-8g": (96, 8, 80),
    "g2-standard-16": (16, 1, 24),
}  # fmt: skip
GPU_GB = {"h200": 141, "h100": 80, "a100": 80, "l4": 24}
each_file = pytest.mark.parametrize("file", LAUNCHER, ids=lambda path: path.stem)
each_cloud = pytest.mark.parametrize("file", CLOUDS, ids=lambda path: path.stem)


def read(file: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return config


def commands(config: dict[str, Any]) -> list[str]:
    """Every shell command of a launcher file."""
    return [command for key, value in config.items() if key.endswith("_commands") for command in value]


def workers(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]}


def on_spot(kind: dict[str, Any]) -> bool:
    node = kind["node_config"]
    market = node["InstanceMarketOptions"]["MarketType"] if "InstanceMarketOptions" in node else "on demand"
    return "SPOT" in (market.upper(), node.get("scheduling", {}).get("provisioningModel"))


@each_file
def test_ray_itself_takes_the_file(file: Path, tmp_path: Path) -> None:
    import jsonschema
    import ray.autoscaler
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(read(file), schema)
    config = read(file)
    if "ssh_private_key" in config["auth"]:  # Ray reads it to tell whether a machine was started with another
        config["auth"]["ssh_private_key"] = str(tmp_path / "key")
        (tmp_path / "key").touch()
    # What `ray up` and the autoscaler do with it first: defaults filled in, validated, each type understood.
    kinds = AutoscalingConfig(config, skip_content_hash=True).get_node_type_configs()
    assert kinds
    assert {name: kind.resources for name, kind in kinds.items()} == {
        name: kind["resources"]
        for name, kind in read(file).get("available_node_types", {"local.cluster.node": {"resources": {}}}).items()
    }


@each_cloud
def test_a_type_has_what_its_machine_has(file: Path) -> None:
    shown = {name: tuple(kind["resources"].values()) for name, kind in workers(read(file)).items()}
    machine = {
        name: MACHINES[kind["node_config"].get("InstanceType") or kind["node_config"]["machineType"]]
        for name, kind in workers(read(file)).items()
    }
    assert shown == {name: spec[:2] for name, spec in machine.items()}
    # The name says which GPU it is.
    assert {name: spec[2] for name, spec in machine.items()} == {name: GPU_GB[name.split("-")[0]] for name in machine}


def test_aws_takes_the_machines_as_they_are_described() -> None:
    validate = pytest.importorskip("botocore.validate", reason="needs the packages of oasis_ray[cloud]")
    import botocore.session

    request = botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    for kind in read(ROOT / "cluster/ray/aws.yaml")["available_node_types"].values():
        asked = kind["node_config"] | {"MinCount": 1, "MaxCount": 1}  # Ray adds these
        assert validate.ParamValidator().validate(asked, request).generate_report() == ""
        assert asked.keys() - request.members.keys() == set()


def test_google_takes_the_machines_as_they_are_described() -> None:
    discovery = pytest.importorskip("googleapiclient.discovery_cache", reason="needs the packages of oasis_ray[cloud]")
    document = Path(discovery.__file__).parent / "documents/compute.v1.json"
    schemas = json.loads(document.read_text(encoding="utf-8"))["schemas"]

    def wrong(value: Any, schema: dict[str, Any], place: str) -> list[str]:
        schema = schemas[schema["$ref"]] if "$ref" in schema else schema
        if schema["type"] == "object" and isinstance(value, dict):
            known = schema["properties"]
            return [
                p for key, part in value.items() for p in wrong(part, known.get(key, {"type": "?"}), f"{place}.{key}")
            ]
        if schema["type"] == "array" and isinstance(value, list):
            return [problem for part in value for problem in wrong(part, schema["items"], place)]
        kinds = {"string": (str, int), "boolean": (bool,), "integer": (int,)}  # long numbers are strings in its JSON
        fits = type(value) in kinds.get(schema["type"], ()) and value in schema.get("enum", [value])
        return [] if fits else [f"{place}: {value!r}"]

    for name, kind in read(ROOT / "cluster/ray/gcp.yaml")["available_node_types"].items():
        assert wrong(kind["node_config"], schemas["Instance"], name) == []


@each_cloud
def test_machines_start_from_zero_and_leave_nothing_that_costs(file: Path) -> None:
    config = read(file)
    assert {kind["min_workers"] for kind in workers(config).values()} == {0}
    assert all(1 <= kind["max_workers"] <= config["max_workers"] for kind in workers(config).values())
    assert {name: on_spot(kind) for name, kind in workers(config).items()} == {
        name: name.endswith("-spot") for name in workers(config)
    }
    assert not config["provider"]["cache_stopped_nodes"]
    assert 0 < config["idle_timeout_minutes"] <= 10


def test_rays_autoscaler_starts_what_fits_and_spot_before_the_full_price() -> None:
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    four = [1.0] * 4
    for file in CLOUDS:
        kinds = AutoscalingConfig(read(file), skip_content_hash=True).get_node_type_configs()
        spot = [name for name in kinds if name.endswith("-spot")]
        assert [started(kinds, engines, four) for engines in (0, 1, 2, 3)] == [
            {}, {"h200-spot": 1}, {"h200-spot": 1}, {"h200-spot": 2}
        ]  # fmt: skip
        assert started(kinds, 1, four, gone=["h200-spot"]) == {"h100-spot": 1}
        assert started(kinds, 1, four, gone=spot) == {"h100-on-demand": 1}
        assert started(kinds, 2, [0.4]) == {"l4-spot": 1}
        assert started(kinds, 1, [1.0] * 16) == {}


@each_cloud
@pytest.mark.parametrize(("job", "kinds"), [("paper", {"h200", "h100", "a100"}), ("small", {*GPU_GB})])
def test_one_machine_holds_the_least_engines_of_a_job(file: Path, job: str, kinds: set[str]) -> None:
    pools = load_job(ROOT / f"cluster/jobs/{job}.yaml", SHIPPED)[0].pools
    fitting = set()
    for name, kind in workers(read(file)).items():
        node = Node(name, kind["resources"])
        try:
            fit(needs(pools, on_gpus(pools, [node])), [node])
        except FitError:
            continue
        fitting.add(name.split("-")[0])
    assert fitting == kinds


@each_cloud
def test_the_head_of_a_cloud_has_nothing_to_give(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private.resource_and_label_spec import ResourceAndLabelSpec

    config = read(file)
    given = config["available_node_types"][config["head_node_type"]]["resources"]
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", json.dumps(given))  # as the launcher starts it
    has = ResourceAndLabelSpec().resolve(is_head=True, node_ip_address="127.0.0.1").to_resource_dict()
    assert {"CPU", "GPU"} & has.keys() == set()


def test_the_head_on_premises_has_nothing_to_give() -> None:
    (start,) = (command for command in commands(read(ROOT / "cluster/ray/on-premises.yaml")) if "--head" in command)
    assert {"--num-cpus=0", "--num-gpus=0"} <= set(start.split())


@each_file
def test_a_cluster_asks_for_its_token_and_shows_no_dashboard(file: Path) -> None:
    config = read(file)
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    (start,) = config["head_start_ray_commands"][1:]
    assert "--dashboard-host=127.0.0.1" in start.split()
    assert "0.0.0.0" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", [*LAUNCHER, *MANIFESTS, DOCKERFILE], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_holds_a_secret(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    code = "\n".join(line.split(" #")[0] for line in text.splitlines() if not line.lstrip().startswith("#"))
    given = r"(?i)(?:auth_token|password|secret_access_key|hf_token|api_key)\w*[=:] *['\"]?[\w+/]{6,}"
    assert re.findall(given, code) == []
    assert "kind: Secret" not in code


@each_file
def test_every_command_is_shell(file: Path) -> None:
    for command in commands(read(file)):
        # The launcher puts a command between parentheses, so a comment in it would swallow the last one.
        done = subprocess.run(["bash", "-n", "-c", f"true && ({command})"], capture_output=True, text=True, check=False)
        assert (command, done.stderr) == (command, "")


@each_file
def test_a_file_names_the_image_once_and_all_files_the_same(file: Path) -> None:
    assert re.findall(r"[\w./-]*oasis-ray:[\w.-]+", file.read_text(encoding="utf-8")) == [IMAGE]
    assert read(file)["docker"]["image"] == IMAGE


@pytest.mark.parametrize("file", [*LAUNCHER, *MANIFESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_must_be_edited_is_marked(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    example = re.compile(
        r"example\.com|my-(bucket|project)|0{8}|192\.0\.2\.|10\.0\.0\.|ssh_private|region: |availability_zone: "
        r"|standard-rwx|gke-(accelerator|spot)|metadata\.name: [km]|max(_workers|Replicas): "
    )
    unmarked = [
        line
        for at, line in enumerate(lines)
        if example.search(line) and not line.lstrip().startswith("#")
        and "EDIT" not in line and "EDIT" not in comment_above(lines[:at])
    ]  # fmt: skip
    assert unmarked == []


def comment_above(lines: list[str]) -> str:
    """The last comment in these lines, all its lines."""
    marks = "".join("#" if line.lstrip().startswith("#") else " " for line in lines).rstrip()
    return "\n".join(lines[len(marks.rstrip("#")) : len(marks)])

"""Binding: connects the nodes of a recipe to stages, pools and each other, and reports all problems together.

Unknown stages and pools, misspelt inputs, wrong types, prompt slots without a value, values that a row on this route
does not have: each is reported in one sentence that says where, what is possible, and what may have been meant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from oasis_ray.errors import JobError, nearest
from oasis_ray.recipe.recipe import Inputs, Node, Recipe, Record, Ref, passed
from oasis_ray.recipe.spec import NodeSpec, RecipeSpec, RecordSpec, Wiring
from oasis_ray.stage import ModelStage, Stage
from oasis_ray.stage.prompt import Prompt
from oasis_ray.stage.signature import accepts, contract, name_of, required, types_of
from oasis_ray.types import Route
from oasis_ray.validation import explain


def bind(
    spec: RecipeSpec,
    *,
    where: str,
    stages: Mapping[str, type[Stage]],
    prompts: Sequence[Path],
    pools: Sequence[str],
    source: Mapping[str, Any],
) -> Recipe:
    """Return a bound recipe. `source` maps the columns of the input to types. Raises JobError with all problems."""
    binder = _Binder(spec, where, stages, prompts, pools, source)
    return binder.recipe()


RESERVED = ("source", "admit")  # the names of the input and of its admission


@dataclass
class _Binder:
    spec: RecipeSpec
    where: str
    stages: Mapping[str, type[Stage]]
    prompts: Sequence[Path]
    pools: Sequence[str]
    source: Mapping[str, Any]
    nodes: list[Node] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def recipe(self) -> Recipe:
        for node in self.spec.nodes:
            if node.enabled:
                self.add(node)
        named = [node.name for node in self.spec.nodes]
        for name in dict.fromkeys(name for name in named if named.count(name) > 1 or name in RESERVED):
            self.problems.append(
                f"{self.where}, node '{name}': the name is already in use; give each node a unique name"
            )
        records = {}
        specs = {Route.MAIN: self.spec.records.accepted, Route.CAPTION: self.spec.records.captions}
        for route, record in specs.items():
            if record is not None:
                records[route] = self.record(record, route)
        if any(Route.CAPTION in node.stage.routes for node in self.nodes) and self.spec.records.captions is None:
            self.problems.append(f"{self.where}: rows can end as captions, but `records` has no `captions`")
        for rate in self.spec.rates:
            for name in (rate.from_, rate.to):
                if name not in named:
                    self.problems.append(f"{self.where}, rates: there is no node '{name}'.{nearest(name, named)}")
            if {rate.from_, rate.to} <= set(named) and named.index(rate.from_) > named.index(rate.to):
                self.problems.append(f"{self.where}, rates: node '{rate.from_}' does not come before node '{rate.to}'")
        if self.problems:
            raise JobError(self.problems)
        return Recipe(self.spec.name, tuple(self.nodes), records, self.spec.rates)

    def add(self, node: NodeSpec) -> None:
        at = f"{self.where}, node '{node.name}'"
        route = Route(node.route)
        if route is not Route.MAIN and not any(route in earlier.stage.routes for earlier in self.nodes):
            self.problems.append(f"{at}: no earlier node sends rows to route '{route}'")
        stage = self.stage(node, at)
        if stage is None:
            # The output type of this node is unknown, so references to it are not checked.
            self.nodes.append(Node(node.name, node.stage, _Broken(), node.pool, route, {}))
            return
        self.check_pool(node, stage, at)
        inputs = self.inputs(node, stage, at)
        self.check_prompt(node, stage, at)
        # If an input is invalid, that is already reported, and further problems would only follow from it.
        if set(inputs) == set(node.inputs):
            self.problems.extend(f"{at}: {problem}" for problem in stage.problems(inputs))
        self.nodes.append(Node(node.name, node.stage, stage, node.pool, route, inputs))

    def stage(self, node: NodeSpec, at: str) -> Stage | None:
        kind = self.stages.get(node.stage)
        if kind is None and ":" in node.stage:
            module, _, name = node.stage.partition(":")
            try:
                kind = getattr(import_module(module), name)
            except (ImportError, AttributeError) as error:
                self.problems.append(f"{at}: stage '{node.stage}' can't be imported: {error}")
                return None
        if kind is None:
            known = ", ".join(sorted(self.stages))
            meant = nearest(node.stage, self.stages)
            self.problems.append(f"{at}: there is no stage '{node.stage}' (known: {known}).{meant}")
            return None
        try:
            contract(kind)
            return kind.model_validate(node.with_, context={"prompts": tuple(self.prompts)})
        except ValidationError as error:
            self.problems.extend(explain(error, kind, f"{at}, with"))
        except TypeError as error:
            self.problems.append(f"{at}: {error}")
        return None

    def check_pool(self, node: NodeSpec, stage: Stage, at: str) -> None:
        asks, known = isinstance(stage, ModelStage), ", ".join(self.pools)
        if asks and node.pool is None:
            self.problems.append(f"{at}: stage '{node.stage}' asks a model; name its pool (the job has: {known})")
        elif asks and node.pool not in self.pools:
            meant = nearest(str(node.pool), self.pools)
            self.problems.append(f"{at}: the job has no pool '{node.pool}' (it has: {known}).{meant}")
        elif not asks and node.pool is not None:
            self.problems.append(f"{at}: stage '{node.stage}' asks no model; remove `pool: {node.pool}`")

    def inputs(self, node: NodeSpec, stage: Stage, at: str) -> Inputs:
        in_type = contract(type(stage))[0]
        expected, bound = types_of(in_type), {}
        for name, wiring in node.inputs.items():
            key = f"{at}: input '{name}'"
            if name not in expected:
                reads = ", ".join(expected)
                self.problems.append(
                    f"{key} is not one of stage '{node.stage}' (it reads: {reads}).{nearest(name, expected)}"
                )
            elif (mapping := get_origin(expected[name]) is dict) != isinstance(wiring, dict):
                form = "a mapping of names to `node.field`" if mapping else "a single `node.field`"
                self.problems.append(f"{key} takes {form}, not {wiring!r}")
            else:
                bound[name] = self.wire(wiring, expected[name], key, Route(node.route))
        for name in sorted(required(in_type) - set(node.inputs)):
            kind = name_of(expected[name])
            self.problems.append(f"{at}: input '{name}' ({kind}) is not bound; add `{name}: node.field`")
        return bound

    def wire(self, wiring: Wiring, want: Any, at: str, route: Route) -> Ref | Mapping[str, Ref]:
        if isinstance(wiring, str):
            return self.ref(wiring, want, at, route)
        kind = get_args(want)[1]
        return {key: self.ref(wire, kind, f"{at}, '{key}'", route) for key, wire in self.live(wiring).items()}

    def live(self, wires: Mapping[str, str]) -> dict[str, str]:
        """Return the mapping without references to disabled nodes."""
        off = {node.name for node in self.spec.nodes if not node.enabled}
        return {key: wire for key, wire in wires.items() if wire.partition(".")[0] not in off}

    def ref(self, wire: str, want: Any, at: str, route: Route, *, source: bool = True) -> Ref:
        name, _, column = wire.partition(".")
        seen = {node.name: node for node in passed(self.nodes, route)}
        possible = [*(["source"] if source else []), *seen]
        if name not in possible and self.unsure(name):
            return Ref(name, column)
        if name not in possible:
            meant = "" if any(node.name == name for node in self.spec.nodes) else nearest(name, possible)
            why = f"{self.absence(name, route)} (possible: {', '.join(possible)})"
            self.problems.append(f"{at} is bound to '{wire}', but {why}.{meant}")
            return Ref("", "")
        if name != "source" and isinstance(seen[name].stage, _Broken):
            return Ref(name, column)
        have = dict(self.source) if name == "source" else types_of(seen[name].out_type)
        if column not in have:
            meant = nearest(wire, [f"{name}.{known}" for known in have])
            self.problems.append(
                f"{at} is bound to '{wire}', but '{name}' writes: {', '.join(have) or 'nothing'}.{meant}"
            )
        elif not accepts(want, have[column]):
            self.problems.append(f"{at} must be {name_of(want)}, but '{wire}' is {name_of(have[column])}")
        return Ref(name, column)

    def unsure(self, name: str) -> bool:
        """Whether node `name` may exist on any route, because a broken stage may send rows anywhere."""
        broken = any(isinstance(node.stage, _Broken) for node in self.nodes)
        return broken and any(node.name == name for node in self.nodes)

    def absence(self, name: str, route: Route) -> str:
        """Return why a row has no output of node `name`."""
        for node in self.spec.nodes:
            if node.name == name and not node.enabled:
                return f"node '{name}' is disabled"
        if any(node.name == name for node in self.nodes):
            return f"rows on route '{route}' do not pass node '{name}'"
        return f"there is no earlier node '{name}'"

    def check_prompt(self, node: NodeSpec, stage: Stage, at: str) -> None:
        """Check that every slot of the prompt is bound, and that the prompt reads every bound text."""
        prompt, expected = getattr(stage, "prompt", None), types_of(contract(type(stage))[0])
        if not isinstance(prompt, Prompt):
            return
        texts = {name for name in node.inputs if name in expected and accepts(expected[name], str)}
        for slot in sorted(set(prompt.slots) - texts):
            reads = f"{at}: prompt '{prompt.name}' reads {{{{{slot}}}}}"
            if slot in expected:
                self.problems.append(f"{reads}, which is not bound; add `{slot}: node.field`")
            else:
                has = f"stage '{node.stage}' has no such input (it reads: {', '.join(expected)})"
                self.problems.append(f"{reads}, but {has}.{nearest(slot, expected)}")
        for name in sorted(texts - set(prompt.slots)):
            self.problems.append(f"{at}: prompt '{prompt.name}' does not read {{{{{name}}}}}; "
                                 "remove the input, or use another prompt")  # fmt: skip

    def record(self, spec: RecordSpec, route: Route) -> Record:
        at = f"{self.where}, records"
        return Record(
            spec.data_source,
            self.ref(spec.instruction, str, f"{at}, route '{route}': 'instruction'", route, source=False),
            self.ref(spec.response, str, f"{at}, route '{route}': 'response'", route, source=False),
            {
                axis: self.ref(wire, int, f"{at}, route '{route}': score '{axis}'", route, source=False)
                for axis, wire in self.live(spec.scores).items()
            },
        )


class _Broken(Stage):
    """Placeholder for a stage that could not be created; its problem is already reported."""

    routes = (Route.CAPTION,)

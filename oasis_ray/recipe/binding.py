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
from oasis_ray.recipe.elements import ANY
from oasis_ray.recipe.prompt_slots import slot_problems
from oasis_ray.recipe.recipe import Inputs, Node, Recipe, Record, Refs, refs_of
from oasis_ray.recipe.references import Broken, References
from oasis_ray.recipe.routes import certain
from oasis_ray.recipe.source import SourceType
from oasis_ray.recipe.spec import NodeSpec, RateSpec, RecipeSpec, RecordSpec, Reference, Wiring
from oasis_ray.stage import ModelStage, Stage
from oasis_ray.stage.signature import contract, inputs_of, name_of, position_of, required, slots_of
from oasis_ray.types import DROPPED, Turn
from oasis_ray.validation import explain


def bind(
    spec: RecipeSpec,
    *,
    where: str,
    stages: Mapping[str, type[Stage]],
    prompts: Sequence[Path],
    pools: Sequence[str],
    source: Mapping[str, SourceType],
) -> Recipe:
    """Return a bound recipe that reads the values `source` from the input. Raises JobError with all problems."""
    binder = _Binder(spec, where, stages, prompts, pools, source)
    return binder.recipe()


RESERVED = ("source", "admit", "null")  # the names of the input, of its admission, and of no value


@dataclass
class _Binder:
    spec: RecipeSpec
    where: str
    stages: Mapping[str, type[Stage]]
    prompts: Sequence[Path]
    pools: Sequence[str]
    source: Mapping[str, SourceType]
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.references = References(self.spec.nodes, self.source, self.problems)

    @property
    def nodes(self) -> list[Node]:
        """The nodes bound so far."""
        return self.references.nodes

    def recipe(self) -> Recipe:
        for node in self.spec.nodes:
            if node.enabled:
                self.nodes.append(self.node(node))
        named = [node.name for node in self.spec.nodes]
        for name in dict.fromkeys(name for name in named if named.count(name) > 1 or name in RESERVED):
            self.problems.append(
                f"{self.where}, node '{name}': the name is already in use; give each node a unique name"
            )
        self.check_ends()
        records = {name: self.record(name, record) for name, record in self.spec.records.items()}
        for rate in self.spec.rates:
            self.check_rate(rate, named)
        if self.problems:
            raise JobError(self.problems)
        spec = self.spec
        return Recipe(
            spec.name,
            tuple(self.nodes),
            records,
            spec.rates,
            self.source,
            about=spec.about,
            cite=spec.cite,
            published=spec.published,
        )

    def node(self, node: NodeSpec) -> Node:
        at = f"{self.where}, node '{node.name}'"
        if node.route not in certain(self.nodes, ()):
            self.problems.append(f"{at}: {self.unreachable(node.route)}")
        stage = self.stage(node, at)
        if stage is None:
            # The output type of this node is unknown, so references to it are not checked; nor is where it sends rows.
            anywhere = {route: route for route in self.routes() if route != node.route}
            return Node(node.name, node.stage, Broken(), node.pool, node.route, {}, anywhere, node.to)
        self.check_pool(node, stage, at)
        exits = self.exits(node, stage, at)
        bound = self.inputs(node, stage, at)
        for_each = {name: bound[name] for name in node.for_each if name in bound}
        inputs = {name: bound[name] for name in node.inputs if name in bound}
        self.check_groups(for_each, at)
        self.problems.extend(slot_problems(node, stage, at))
        # If an input is invalid, that is already reported, and further problems would only follow from it.
        if set(bound) == {*node.inputs, *node.for_each}:
            self.problems.extend(f"{at}: {problem}" for problem in stage.problems(bound))
            self.problems.extend(f"{at}: {problem}" for problem in stage.word_problems(self.words(bound)))
        self.check_attempts(node, stage, at)
        return Node(
            node.name, node.stage, stage, node.pool, node.route, inputs, exits, node.to, node.max_attempts,
            for_each, node.require or ANY,
        )  # fmt: skip

    def check_groups(self, for_each: Inputs, at: str) -> None:
        """Check that the lists of a `for_each` have one origin, so that their elements belong together."""
        groups = {ref.group: ref for ref in refs_of(for_each)}
        if len(groups) > 1 and "" not in groups:  # without a group: its problem is already reported
            lists = " and ".join(f"'{ref}' (from '{group}')" for group, ref in groups.items())
            self.problems.append(
                f"{at}: for_each names lists of different origin, {lists}, so their elements do not belong together; "
                "name lists of one origin, or bind whole lists in `inputs`"
            )

    def words(self, inputs: Inputs) -> dict[str, list[str]]:
        """Return the texts that inputs may have, for those whose nodes know them."""
        stages = {node.name: node.stage for node in self.nodes}
        found: dict[str, list[str]] = {}
        for name, refs in inputs.items():
            if isinstance(refs, Mapping) or not all(ref.node in stages for ref in refs):
                continue
            words = [stages[ref.node].words(ref.field) for ref in refs]
            if all(words):
                found[name] = list(dict.fromkeys(word for some in words for word in some))
        return found

    def routes(self) -> set[str]:
        """Return all routes that nodes and records name."""
        of_records = {record.route for record in self.spec.records.values()}
        return of_records | {node.route for node in self.spec.nodes} | {node.to for node in self.spec.nodes if node.to}

    def unreachable(self, route: str) -> str:
        """Return why a route has no rows after the nodes bound so far."""
        joins = [node.name for node in self.nodes if node.route == route and node.to]
        if joins:
            return f"all rows on route '{route}' leave it at node '{joins[-1]}' (its `to`)"
        possible = ", ".join(certain(self.nodes, ()))
        return f"no earlier node sends rows to route '{route}' (possible: {possible})"

    def exits(self, node: NodeSpec, stage: Stage, at: str) -> dict[str, str]:
        """Return the route of each exit of the stage."""
        if node.for_each:  # an element that the stage diverts is dropped; no row takes an exit
            if node.exits:
                self.problems.append(
                    f"{at}: an element that the stage diverts is dropped, so a node with `for_each` has no `exits`; "
                    "remove them"
                )
            return {}
        for name in sorted(set(node.exits) - set(stage.exits)):
            has = f"it has: {', '.join(stage.exits)}" if stage.exits else "it has none with these parameters"
            self.problems.append(
                f"{at}: stage '{node.stage}' has no exit '{name}' ({has}).{nearest(name, stage.exits)}"
            )
        routes = {name: node.exits.get(name, name) for name in stage.exits}
        for name, route in routes.items():
            if route == node.route:
                self.problems.append(
                    f"{at}: exit '{name}' leads to route '{route}', which the node is on; name another"
                )
        return routes

    def check_ends(self) -> None:
        """Check that every route on which rows end has a record, and that every record has rows."""
        if any(isinstance(node.stage, Broken) for node in self.nodes):
            return  # where its rows go is not known
        reached = certain(self.nodes, ())
        of_records = {record.route: name for name, record in self.spec.records.items()}
        for route in reached:
            if route not in of_records:
                self.problems.append(
                    f"{self.where}: rows end on route '{route}', but no record has `route: {route}`; add one to "
                    f"`records`, or bring the rows back with `to`, or drop them with an exit to '{DROPPED[0]}'"
                )
        for route, name in of_records.items():
            if route not in reached:
                self.problems.append(f"{self.where}, record '{name}': {self.unreachable(route)}")

    def check_rate(self, rate: RateSpec, named: Sequence[str]) -> None:
        for name in (rate.from_, rate.to):
            if name not in named:
                self.problems.append(f"{self.where}, rates: there is no node '{name}'.{nearest(name, named)}")
        if {rate.from_, rate.to} <= set(named) and named.index(rate.from_) > named.index(rate.to):
            self.problems.append(f"{self.where}, rates: node '{rate.from_}' does not come before node '{rate.to}'")

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

    def check_attempts(self, node: NodeSpec, stage: Stage, at: str) -> None:
        if node.max_attempts == 1:
            return
        if not isinstance(stage, ModelStage):
            self.problems.append(f"{at}: stage '{node.stage}' asks no model; remove `max_attempts`")
        elif stage.sampling.temperature == 0:
            self.problems.append(
                f"{at}: max_attempts {node.max_attempts} gets the same reply each time at temperature 0; set "
                "with.sampling.temperature, or remove it"
            )

    def inputs(self, node: NodeSpec, stage: Stage, at: str) -> Inputs:
        in_type = contract(type(stage))[0]
        expected, bound = inputs_of(in_type), {}
        for name, wiring in {**node.inputs, **node.for_each}.items():
            key = f"{at}: input '{name}'"
            want = expected.get(name, str)  # what is no input of the stage is a slot of its prompt, if it has slots
            each = name in node.for_each
            if each and get_origin(want) is not dict:
                want = list[want]  # type: ignore[valid-type]
            if name not in expected and slots_of(in_type) is None:
                reads = ", ".join(expected)
                self.problems.append(
                    f"{key} is not one of stage '{node.stage}' (it reads: {reads}).{nearest(name, expected)}"
                )
            elif (mapping := get_origin(want) is dict) != isinstance(wiring, dict):
                form = "a mapping of names to `node.field`" if mapping else "a single `node.field`"
                self.problems.append(f"{key} takes {form}, not {wiring!r}")
            elif each and want == list[Turn]:
                self.problems.append(f"{key}: a conversation is one value; stage 'turns_to_qa' lists its texts")
            else:
                bound[name] = self.wire(wiring, want, key, node.route, each=each)
        if position_of(in_type) and not node.for_each:
            self.problems.append(
                f"{at}: stage '{node.stage}' works on the elements of a list; bind the list in `for_each`"
            )
        for name in sorted(required(in_type) - {*node.inputs, *node.for_each}):
            kind = name_of(expected[name])
            self.problems.append(f"{at}: input '{name}' ({kind}) is not bound; add `{name}: node.field`")
        return bound

    def wire(self, wiring: Wiring, want: Any, at: str, route: str, *, each: bool) -> Refs | Mapping[str, Refs]:
        resolve = self.references.resolve
        if not isinstance(wiring, dict):
            return resolve(wiring, want, at, route)
        kind: Any = get_args(want)[1]
        kind = list[kind] if each else kind
        live = self.references.live(wiring)
        return {key: resolve(wire, kind, f"{at}, '{key}'", route) for key, wire in live.items()}

    def record(self, name: str, spec: RecordSpec) -> Record:
        resolve, live = self.references.resolve, self.references.live

        def value(what: str, wire: Reference, want: Any, *, nullable: bool = False) -> Refs:
            return resolve(wire, want, f"{self.where}, record '{name}': {what}", spec.route, nullable=nullable)

        if spec.conversation is not None:
            turns: tuple[Refs, ...] = (value("'conversation'", spec.conversation, list[Turn]),)
        else:
            assert spec.instruction is not None  # noqa: S101  (the spec has both, or a conversation)
            assert spec.response is not None  # noqa: S101
            turns = value("'instruction'", spec.instruction, str), value("'response'", spec.response, str)
        return Record(
            spec.route,
            spec.data_source,
            turns,
            {axis: value(f"score '{axis}'", wire, float, nullable=True) for axis, wire in live(spec.scores).items()},
            {key: value(f"column '{key}'", wire, Any, nullable=True) for key, wire in live(spec.columns).items()},
        )

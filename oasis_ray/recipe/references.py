"""References: resolves `node.field` and `source.column` in a recipe to outputs of nodes and columns of the source.

A reference must name a value of the right type that every row on the route has. Of a list of references, every row
must have at least one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, get_origin

from oasis_ray.errors import nearest
from oasis_ray.recipe.recipe import NULL, Node, Ref, Refs
from oasis_ray.recipe.routes import certain, possible
from oasis_ray.recipe.source import KINDS, SourceType
from oasis_ray.recipe.spec import NodeSpec, Reference
from oasis_ray.stage import Stage
from oasis_ray.stage.signature import accepts, name_of
from oasis_ray.types import Image, Turn

SOURCE = "source"


class Broken(Stage):
    """Placeholder for a stage that could not be created; its problem is already reported."""


@dataclass
class References:
    """The values that references may name: columns of the source, and outputs of the nodes bound so far."""

    specs: Sequence[NodeSpec]
    source: Mapping[str, SourceType]
    problems: list[str]
    nodes: list[Node] = field(default_factory=list)

    def live(self, wires: Mapping[str, Reference]) -> dict[str, Reference]:
        """Return a mapping of references without those to disabled nodes, and without names that have none left."""
        kept = {key: self._enabled(wires[key]) for key in wires}
        return {key: wires[key] for key, some in kept.items() if some}

    def _enabled(self, wire: Reference) -> tuple[str, ...]:
        off = {node.name for node in self.specs if not node.enabled}
        return tuple(name for name in listed(wire) if name.partition(".")[0] not in off)

    def resolve(self, wire: Reference, want: Any, at: str, route: str, *, nullable: bool = False) -> Refs:
        """Return the references of one value of type `want` (Any: that Arrow can store); `at` names the place.

        nullable: the value may be null. Otherwise it may be where `want` allows it.
        """
        wires = self._enabled(wire) or listed(wire)
        nullable = nullable or accepts(want, NoneType)
        if isinstance(wire, str) or None not in wire:
            return self._first_of(wires, want, at, route, nullable=nullable, maybe=False)
        refs = self._first_of(wires, want, at, route, nullable=nullable, maybe=True)
        if wire[-1] is not None or wire.count(None) > 1 or len(wire) == 1:
            self.problems.append(
                f"{at}: null may stand only at the end of the list, once: it is used if the row has none of the "
                "values before"
            )
        elif not nullable:
            self.problems.append(f"{at} must be {name_of(want)}, and can't be null; remove null from the list")
        return (*refs, NULL)

    def _first_of(self, wires: tuple[str, ...], want: Any, at: str, route: str, *, nullable: bool, maybe: bool) -> Refs:
        """Return references of which a row has at least one, or with `maybe` perhaps none."""
        if route not in certain(self.nodes, ()):  # no row takes this route, which is already reported
            return tuple(Ref(*name.partition(".")[::2]) for name in wires)
        alone = len(wires) == 1 and not maybe
        refs = tuple(self._one(name, want, at, route, alone=alone, nullable=nullable) for name in wires)
        names = {ref.node for ref in refs}
        given = any(ref.node == SOURCE and not self._may_lack(ref.field) for ref in refs)
        sure = given or "" in names or any(map(self._unsure, names)) or certain(self.nodes, names).get(route, True)
        for place, ref in enumerate(refs[:-1], start=1):
            earlier = {one.node for one in refs[:place]} - {"", SOURCE}
            given = ref.node == SOURCE and not self._may_lack(ref.field)
            if given or (earlier and certain(self.nodes, earlier).get(route) and not any(map(self._unsure, earlier))):
                first = " or ".join(wires[:place])
                self.problems.append(
                    f"{at}: '{wires[place]}' is never taken, because every row has {first}; put the later node first"
                )
                break
        if not alone and not sure and not maybe:
            self.problems.append(
                f"{at} is bound to {', '.join(wires)}, but a row on route '{route}' may have passed none of these "
                "nodes; add one that all rows pass"
            )
        return refs

    def _one(self, wire: str, want: Any, at: str, route: str, *, alone: bool, nullable: bool) -> Ref:
        name, _, column = wire.partition(".")
        seen = {node.name: node for node in possible(self.nodes, route)}
        if alone:
            seen = {name: node for name, node in seen.items() if certain(self.nodes, {name}).get(route)}
        known = [SOURCE, *seen]
        if name not in known and self._unsure(name):
            return Ref(name, column)
        if name not in known:
            meant = "" if any(node.name == name for node in self.specs) else nearest(name, known)
            why = f"{self._absence(name, route, nullable=nullable)} (possible: {', '.join(known)})"
            self.problems.append(f"{at} is bound to '{wire}', but {why}.{meant}")
            return Ref("", "")
        if name != SOURCE and isinstance(seen[name].stage, Broken):
            return Ref(name, column)
        have = self._columns(alone=alone) if name == SOURCE else seen[name].outputs
        if column not in have:
            meant = nearest(wire, [f"{name}.{known}" for known in have])
            self.problems.append(f"{at} is bound to '{wire}', but '{name}' has: {', '.join(have) or 'nothing'}.{meant}")
        elif want is Any and have[column] in (Image, Image | None):
            self.problems.append(f"{at} can't be an image; the record's image is in its column `image`")
        elif want is not Any and not accepts(want, have[column]):
            self.problems.append(f"{at} must be {name_of(want)}, but '{wire}' is {name_of(have[column])}")
        return Ref(name, column, self._group(seen.get(name), column, have))

    def _group(self, node: Node | None, column: str, have: Mapping[str, Any]) -> str:
        """Return the group of the elements of a list: its node, or its column of the source; "" for another value."""
        kind = have.get(column)
        if get_origin(kind) is not list or kind == list[Turn]:
            return ""
        if node is None:
            return f"{SOURCE}.{column}"
        return node.group if node.for_each else node.name

    def _columns(self, *, alone: bool) -> dict[str, Any]:
        """Return the types of the source's values; among alternatives, an optional one counts where it is not null."""
        return {name: kind.annotation if alone else KINDS[kind.kind] for name, kind in self.source.items()}

    def _may_lack(self, name: str) -> bool:
        return name in self.source and self.source[name].optional

    def _unsure(self, name: str) -> bool:
        """Whether node `name` may exist on any route, because a broken stage may send rows anywhere."""
        broken = any(isinstance(node.stage, Broken) for node in self.nodes)
        return broken and any(node.name == name for node in self.nodes)

    def _absence(self, name: str, route: str, *, nullable: bool) -> str:
        """Return why a row has no output of node `name`."""
        for node in self.specs:
            if node.name == name and not node.enabled:
                return f"node '{name}' is disabled"
        if any(node.name == name for node in possible(self.nodes, route)):
            why = f"only some rows on route '{route}' pass node '{name}'; name a list of nodes that covers all of them"
            return f"{why}, or end the list with null" if nullable else why
        if any(node.name == name for node in self.nodes):
            return f"rows on route '{route}' do not pass node '{name}'"
        return f"there is no earlier node '{name}'"


def listed(wire: Reference) -> tuple[str, ...]:
    """Return the references of one value as a tuple, without null."""
    return (wire,) if isinstance(wire, str) else tuple(name for name in wire if name is not None)

"""Prompt slots: checks that a node binds every slot of its stage's prompts, and that these read every bound text."""

from collections.abc import Iterator

from oasis_ray.errors import nearest
from oasis_ray.recipe.spec import NodeSpec
from oasis_ray.stage import Stage
from oasis_ray.stage.prompt import Prompt
from oasis_ray.stage.signature import accepts, contract, inputs_of, slots_of


def slot_problems(node: NodeSpec, stage: Stage, at: str) -> Iterator[str]:
    """Yield a problem for each slot without a value, and for each text that no prompt reads; `at` names the node."""
    in_type = contract(type(stage))[0]
    expected, templates = inputs_of(in_type), stage.templates
    if not templates:
        return
    takes_slots = slots_of(in_type) is not None
    texts = {name for name in (*node.inputs, *node.for_each) if accepts(expected.get(name, str), str)}
    for prompt in templates:
        for slot in sorted(set(prompt.slots) - texts):
            reads = f"{at}: prompt '{prompt.name}' reads {{{{{slot}}}}}"
            if takes_slots or slot in expected:
                yield f"{reads}, which is not bound; add `{slot}: node.field`"
            else:
                has = f"stage '{node.stage}' has no such input (it reads: {', '.join(expected)})"
                yield f"{reads}, but {has}.{nearest(slot, expected)}"
    read = {slot for prompt in templates for slot in prompt.slots}
    named = " and ".join(sorted({f"'{prompt.name}'" for prompt in templates}))
    # A stage without slots may read a text otherwise than in its phrases, as `language` of `pair` is.
    for name in sorted((texts - set(expected) if takes_slots else texts if _only_prompt(stage) else set()) - read):
        yield f"{at}: prompt {named} does not read {{{{{name}}}}}; remove the input, or use another prompt"


def _only_prompt(stage: Stage) -> bool:
    return isinstance(getattr(stage, "prompt", None), Prompt)

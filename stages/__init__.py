"""The shipped stages: what a step asks, and how it reads the reply."""

from oasis_ray.stage import Stage
from stages.categorize import Categorize
from stages.clean import Clean
from stages.gate import Gate
from stages.hook import Hook
from stages.language import Language
from stages.pair import Pair
from stages.respond import Respond
from stages.score import Score

STAGES: dict[str, type[Stage]] = {
    "hook": Hook,
    "categorize": Categorize,
    "score": Score,
    "gate": Gate,
    "respond": Respond,
    "clean": Clean,
    "language": Language,
    "pair": Pair,
}

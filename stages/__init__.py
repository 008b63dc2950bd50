"""The shipped stages: what a node asks a model, and how it parses the reply."""

from oasis_ray.stage import Stage

from .categorize import Categorize
from .clean import Clean
from .gate import Gate
from .hook import Hook
from .language import Language
from .pair import Pair
from .respond import Respond
from .score import Score

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

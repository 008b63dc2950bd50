"""The shipped stages: what a node asks a model, and how it parses the reply."""

from oasis_ray.stage import Stage

from .add_exchange import AddExchange
from .branch import Branch
from .categorize import Categorize
from .classify import Classify
from .clean import Clean
from .conversation import Conversation
from .gate import Gate
from .generate import Generate
from .hook import Hook
from .improvement import Improvement
from .language import Language
from .pair import Pair
from .phrase import Phrase
from .pick import Pick
from .reasoning import Reasoning
from .respond import Respond
from .score import Score
from .split import Split
from .transcript import Transcript
from .turns_to_qa import TurnsToQa

STAGES: dict[str, type[Stage]] = {
    # Of any recipe
    "generate": Generate,
    "classify": Classify,
    "score": Score,
    "gate": Gate,
    "improvement": Improvement,
    "pick": Pick,
    "phrase": Phrase,
    "branch": Branch,
    "split": Split,
    "reasoning": Reasoning,
    "conversation": Conversation,
    "turns_to_qa": TurnsToQa,
    "transcript": Transcript,
    "add_exchange": AddExchange,
    # Of the method Oasis
    "hook": Hook,
    "categorize": Categorize,
    "respond": Respond,
    "clean": Clean,
    "language": Language,
    "pair": Pair,
}

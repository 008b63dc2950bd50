"""The shipped stages: what a node asks a model, and how it parses the reply."""

from oasis_ray.stage import Stage

from .add_exchange import AddExchange
from .branch import Branch
from .categorize import Categorize
from .classify import Classify
from .clean import Clean
from .conversation import Conversation
from .distinct import Distinct
from .element import Element
from .gate import Gate
from .generate import Generate
from .hook import Hook
from .hooks import Hooks
from .improvement import Improvement
from .kind import Kind
from .language import Language
from .pair import Pair
from .phrase import Phrase
from .pick import Pick
from .qa_pairs import QaPairs
from .reasoning import Reasoning
from .respond import Respond
from .score import Score
from .select import Select
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
    "qa_pairs": QaPairs,
    "element": Element,
    "select": Select,
    "distinct": Distinct,
    "reasoning": Reasoning,
    "conversation": Conversation,
    "turns_to_qa": TurnsToQa,
    "transcript": Transcript,
    "add_exchange": AddExchange,
    # Of the method Oasis
    "hook": Hook,
    "hooks": Hooks,
    "categorize": Categorize,
    "kind": Kind,
    "respond": Respond,
    "clean": Clean,
    "language": Language,
    "pair": Pair,
}

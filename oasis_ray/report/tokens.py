"""Count the tokens of texts with a model's tokenizer, from this machine only."""

from pathlib import Path

from oasis_ray.report.totals import Tokenize


def tokenize_with(model: str) -> Tokenize:
    """Return a function that counts the tokens of texts for `model`.

    Raises OSError if its tokenizer is not on this machine, ValueError if it can't be read.
    """
    file = Path(model) / "tokenizer.json"
    if file.is_file():  # read directly: importing transformers and torch takes longer than counting a small run
        return _count_with(file)
    from transformers import AutoTokenizer

    # Never from the hub: a report must not wait for an unreachable network.
    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False, local_files_only=True)

    def count(texts: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]

    return count


def _count_with(file: Path) -> Tokenize:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library has no narrower one
        raise ValueError(f"{file} is not a tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: list[str]) -> list[int]:
        return [len(encoding.ids) for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]

    return count

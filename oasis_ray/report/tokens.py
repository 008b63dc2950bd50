"""Counts the tokens of texts with a model's tokenizer, as it is on this machine."""

from pathlib import Path

from oasis_ray.report.totals import Tokenize


def tokenize_with(model: str) -> Tokenize:
    """Counts the tokens of texts as `model` cuts them. Raises OSError where its tokenizer is not on this machine, and
    ValueError where it can't be read.
    """
    file = Path(model) / "tokenizer.json"
    if file.is_file():  # read directly: importing transformers, and torch with it, takes longer than counting a demo
        return _count_with(file)
    from transformers import AutoTokenizer

    # Never from the hub: a report should not wait for a network that is not there.
    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False, local_files_only=True)

    def count(texts: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]

    return count


def _count_with(file: Path) -> Tokenize:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library has no narrower one
        raise ValueError(f"{file} is no tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: list[str]) -> list[int]:
        return [len(found.ids) for found in tokenizer.encode_batch(texts, add_special_tokens=False)]

    return count

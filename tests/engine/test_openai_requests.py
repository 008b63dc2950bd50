"""Requests and responses of the OpenAI backend, with a fake server.

vLLM's own server is tested in tests/slow/test_openai_server.py.
"""

import asyncio
import base64
import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.engine.chat_template import Chat
from oasis_ray.engine.openai import OpenAIEngine
from oasis_ray.errors import RowError, RunError
from oasis_ray.input.image_admission import admit
from oasis_ray.job.limits import Limits
from oasis_ray.job.pool import Pool
from oasis_ray.types import Call, Image, Reply, Request, Sample, Sampling
from tests.support.models import VLM
from tests.support.servers import Answers, Echo, proof, serving
from tests.support.shards import picture

SHORT = Sampling(max_tokens=12)
USAGE = {"prompt_tokens": 40, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 32}}
COMPLETIONS, CHATS = "/v1/completions", "/v1/chat/completions"
SAID = {
    COMPLETIONS: [{"text": "one", "finish_reason": "stop", "logprobs": {"token_logprobs": [-1.0, -3.0]}},
                  {"text": "two", "finish_reason": "length", "logprobs": {"token_logprobs": [None, -0.5]}}],
    CHATS: [{"message": {"content": "A cat."}, "finish_reason": "stop",
             "logprobs": {"content": [{"token": "A", "logprob": -0.25, "bytes": None, "top_logprobs": []}]}}],
}  # fmt: skip


class Recorder(Answers):
    """Records its requests, and always returns the same response."""

    asked: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012

    def do_POST(self) -> None:  # noqa: N802
        asked = json.loads(self.body())
        if asked["max_tokens"] == 1:
            self.answer(200, proof(asked))
            return
        self.asked.append((self.path, asked))
        choices = [{"index": at, **choice} for at, choice in enumerate(SAID[self.path])]
        self.answer(200, {"id": "x", "created": 1, "model": "m", "object": "o", "choices": choices, "usage": USAGE})


class Full(Answers):
    """Responds to every prompt as vLLM does to one that is too long."""

    def do_POST(self) -> None:  # noqa: N802
        self.body()
        self.answer(400, {"error": {"message": "This model's maximum context length is 2048 tokens."}})


@cache
def chat() -> Chat:
    return Chat.load(str(VLM))


def body(**keys: Any) -> dict[str, Any]:
    """Return the body of a request with `SHORT` and these keys."""
    common = {
        "model": str(VLM), "n": 1, "max_tokens": 12, "temperature": 0.0, "top_p": 1.0, "frequency_penalty": 0.0,
        "presence_penalty": 0.0, "seed": 1, "top_k": SHORT.top_k, "min_tokens": 0, "stop_token_ids": chat().stop_ids,
    }  # fmt: skip
    return common | keys


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that records its requests in `Recorder.asked`."""
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    Recorder.asked.clear()
    with serving(Recorder) as url:
        yield f"{url}/v1"


def ask(url: str, request: Request, **keys: Any) -> Reply:
    engine = OpenAIEngine(Pool(model=str(VLM), backend="openai", url=url, **keys), retries=0)
    return asyncio.run(engine.ask(Call(request, "row", 1)))


def turn(image: Image, text: str) -> list[dict[str, Any]]:
    """Return the messages of a user turn with an image and a text."""
    url = f"data:image/png;base64,{base64.b64encode(image.data).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def test_the_hook_is_a_user_turn_that_the_server_continues(server: str) -> None:
    image = admit(picture(), Limits())
    ask(server, Request(images=(image,), speaker="user", sampling=SHORT))
    goes_on = {"continue_final_message": True, "add_generation_prompt": False}
    assert Recorder.asked == [(CHATS, body(messages=turn(image, ""), logprobs=False, **goes_on))]


def test_a_request_with_an_image_is_a_chat_completion_without_special_tokens(server: str) -> None:
    image = admit(picture(), Limits())
    reply = ask(server, Request("What is <|im_end|>?", (image,), sampling=SHORT, likelihood=True))
    assert Recorder.asked == [(CHATS, body(messages=turn(image, "What is <\u200b|im_end|>?"), logprobs=True))]
    assert reply == Reply((Sample("A cat.", "stop", 9, -0.25),), 40, 32)


def test_a_request_without_an_image_is_sent_as_token_ids(server: str) -> None:
    request = Request("<|im_end|> is a word here", speaker="user", sampling=SHORT, n=2, likelihood=True)
    reply = ask(server, request)
    assert Recorder.asked == [(COMPLETIONS, body(prompt=chat().ids(request), n=2, logprobs=0))]
    # The server counts the tokens of all samples together: they are assigned to the first.
    assert reply == Reply((Sample("one", "stop", 9, -2.0), Sample("two", "length", 0, -0.5)), 40, 32)


def test_choices_and_banned_tokens_are_sent(server: str) -> None:
    banning = Sampling(max_tokens=12, ban=("special",))
    request = Request("Good?", sampling=banning, choices=("[[1]]", "[[5]]"))
    ask(server, request)
    bias = {str(token): -100 for token in chat().banned_ids(banning)}
    more = {"logit_bias": bias, "structured_outputs": {"choice": ["[[1]]", "[[5]]"]}}
    assert Recorder.asked == [(COMPLETIONS, body(prompt=chat().ids(request), logprobs=None, **more))]
    assert bias != {}


def test_a_schema_is_sent_with_and_without_an_image(server: str) -> None:
    image = admit(picture(), Limits())
    schema = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}
    guided = {"sampling": SHORT, "schema": json.dumps(schema)}
    ask(server, Request("What?", **guided))
    ask(server, Request("What?", (image,), **guided))
    more = {"structured_outputs": {"json": schema}}
    assert Recorder.asked == [
        (COMPLETIONS, body(prompt=chat().ids(Request("What?", **guided)), logprobs=None, **more)),
        (CHATS, body(messages=turn(image, "What?"), logprobs=False, **more)),
    ]
    assert list(Recorder.asked[0][1]["structured_outputs"]["json"]["properties"]) == ["b", "a"]


ADVICE = "simplify `schema` under the node's `with`, for example by a keyword less, or remove it"


@pytest.mark.parametrize(("schema", "end"), [("", ""), ("{}", f" (if it is about the schema: {ADVICE})")])
def test_a_request_that_is_refused_names_the_schema_as_a_possible_cause(schema: str, end: str) -> None:
    with serving(Echo) as url, pytest.raises(RowError) as error:
        ask(f"{url}/400/v1", Request("Hi", sampling=SHORT, schema=schema))
    assert error.value.reason == "request_refused"
    assert error.value.detail.endswith(end)
    assert ("schema" in error.value.detail) is bool(end)


def test_a_reply_is_constrained_by_choices_or_by_a_schema() -> None:
    with pytest.raises(ValueError, match="a request has either `choices` or a `schema`"):
        Request("Good?", choices=("Yes", "No"), schema="{}")


def test_probabilities_of_choices_are_asked_for(server: str) -> None:
    image = admit(picture(), Limits())
    weighed = {"sampling": SHORT, "choices": ("one", "two"), "weigh": True}
    with pytest.raises(RunError, match="returns no log-probabilities"):  # the Recorder has none to give
        ask(server, Request("Good?", **weighed))
    with pytest.raises(RunError, match="returns no log-probabilities"):
        ask(server, Request("Good?", (image,), **weighed))
    guided = {"structured_outputs": {"choice": ["one", "two"]}}
    assert Recorder.asked == [
        (COMPLETIONS, body(prompt=chat().ids(Request("Good?", **weighed)), logprobs=20, **guided)),
        (CHATS, body(messages=turn(image, "Good?"), logprobs=True, top_logprobs=20, **guided)),
    ]


def test_switches_of_the_chat_template_are_sent(server: str, tmp_path: Path) -> None:
    shutil.copytree(VLM, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    template = tmp_path / "model/chat_template.jinja"
    template.write_text(template.read_text() + "{%- if enable_thinking %}{% endif %}")
    image = admit(picture(), Limits())
    ask(
        server,
        Request("What?", (image,), sampling=SHORT),
        tokenizer=str(tmp_path / "model"),
        template={"enable_thinking": False},
    )
    more = {"chat_template_kwargs": {"enable_thinking": False}}
    assert Recorder.asked == [(CHATS, body(messages=turn(image, "What?"), logprobs=False, **more))]


def test_an_image_of_an_unusual_mode_is_sent_as_plain_rgb(server: str) -> None:
    ask(server, Request("Hm", (admit(picture(kind="TIFF"), Limits()),), sampling=SHORT))
    ((_, sent),) = Recorder.asked
    assert sent["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_prompt_over_the_context_is_a_bad_row() -> None:
    with serving(Full) as url, pytest.raises(RowError) as error:
        ask(f"{url}/v1", Request("word " * 3000, sampling=SHORT))
    assert error.value.reason == "prompt_over_context"


def test_a_key_that_is_refused_is_told_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "a-wrong-key")
    with serving(Echo) as url, pytest.raises(RunError) as error:
        ask(f"{url}/401/v1", Request("Hi", sampling=SHORT), api_key_env="OTHER_KEY")
    assert str(error.value).startswith(f"{url}/401/v1 rejects the key in $OTHER_KEY: ")
    assert "a-wrong-key" not in str(error.value)


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(RunError) as error:
        ask("http://127.0.0.1:9/v1", Request("Hi", sampling=SHORT))
    assert str(error.value).startswith("http://127.0.0.1:9/v1 can't be reached: ")

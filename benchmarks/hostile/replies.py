"""A server with the OpenAI API whose replies are hostile: one for each request, and always the same for that one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JUDGE = "Kind: instruction\nInstruction: What is it?\n[[5]]"
USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}


def _completion(text: str | None, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "text": text, "message": {"role": "assistant", "content": text}}
    choice["message"] |= message  # type: ignore[operator]
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}


# Status and body. Bodies that are text are sent as they are.
REPLIES: tuple[tuple[int, Any], ...] = (
    (200, {"error": {"code": 429, "message": "rate limited"}}),
    (200, {"error": "no"}),
    (200, _completion(JUDGE) | {"choices": None}),
    (200, _completion(JUDGE) | {"choices": []}),
    (200, _completion(JUDGE) | {"choices": [None]}),
    (200, _completion(JUDGE) | {"choices": "text"}),
    (200, _completion(JUDGE) | {"usage": None}),
    (200, _completion(JUDGE) | {"usage": {}}),
    (200, _completion(None)),
    (200, _completion(None, "length", reasoning_content="Let me see…")),
    (200, _completion("<think>Kind: caption [[1]]", "length")),
    (200, _completion(f"<think>[[1]]</think>{JUDGE}")),
    (200, _completion("What is the", "content_filter")),
    (200, _completion(JUDGE, "tool_calls")),
    (200, _completion(JUDGE, None)),
    (200, _completion("", "stop")),
    (200, _completion("\0\ud83d [[5]]".encode("utf-8", "replace").decode())),
    (200, _completion("[[5]] " * 20_000, "length")),
    (200, _completion(JUDGE) | {"choices": [{"index": 0, "message": None, "text": None}]}),
    (200, "<html>a page of a proxy</html>"),
    (200, ""),
    (200, "{"),
    (200, "null"),
    (200, "[]"),
    (200, '"text"'),
    (400, {"error": {"message": "This model's maximum context length is 512 tokens"}}),
    (400, "no"),
    (413, "<html>too large</html>"),
    (422, {"detail": [{"msg": "field required"}]}),
    (500, {"error": {"message": "Internal server error"}}),
    (503, ""),
)


class Handler(BaseHTTPRequestHandler):
    """One request; what it asks decides the reply, so that a row which is asked again gets it again."""

    def do_GET(self) -> None:
        """The list of models."""
        self._send(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        """A completion: five of six are as they should be."""
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(body)
        continued = bool(asked.get("continue_final_message"))
        usual = _completion("What is it?" if continued else JUDGE)
        usual["usage"] = USAGE | {"prompt_tokens": 7 if continued else 12}
        drawn = int.from_bytes(blake2b(body, digest_size=4).digest()) % (6 * len(REPLIES))
        proof = asked.get("max_tokens") == 1
        status, said = REPLIES[drawn] if drawn < len(REPLIES) and not proof else (200, usual)
        self._send(status, _as_asked(said, chat=self.path.endswith("/chat/completions")))

    def _send(self, status: int, body: Any) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "text/html" if isinstance(body, str) and "<" in body else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: a hundred lines of requests would hide the figures."""


def _as_asked(said: Any, *, chat: bool) -> Any:
    """A completion has texts, a chat completion has messages."""
    if not isinstance(said, dict) or not isinstance(said.get("choices"), list):
        return said
    other = "text" if chat else "message"
    choices = [each and {key: value for key, value in each.items() if key != other} for each in said["choices"]]
    return said | {"choices": choices}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # connections that wait; as many as there may be requests in flight


@contextmanager
def serving() -> Iterator[str]:
    """The URL of a server that runs."""
    with _Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()

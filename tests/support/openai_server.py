"""A server with the OpenAI API for tests: it answers as its mode says, and keeps what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JUDGE = "Kind: instruction\nInstruction: What is it?\n[[5]]"
HOOK = "What is the red thing?"


class Handler(BaseHTTPRequestHandler):
    """One request. `mode` is the server's."""

    server: "Server"

    def do_GET(self) -> None:
        if self.server.mode == "key":
            self._send(401, {"error": {"message": "no such key"}})
        else:
            self._send(*((404, {}) if self.server.mode == "unlisted" else (200, {"object": "list", "data": []})))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)
        status, body = answer(self.server, asked, chat=self.path.endswith("/chat/completions"))
        self._send(status, body)

    def _send(self, status: int, body: Any) -> None:
        if not status:
            self.close_connection = True
            return
        html = isinstance(body, str)
        data = body.encode() if html else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "text/html" if html else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """The server; `mode` may be changed while it runs.

    poison: parts of requests that it always fails on, with the status `fails_with`; 0 closes the connection.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode, self.asked = "plain", list[dict[str, Any]]()
        self.poison, self.fails_with = list[str](), 500

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


def answer(server: Server, asked: dict[str, Any], *, chat: bool) -> tuple[int, Any]:
    """Status and body of the reply in the server's mode."""
    continued = bool(asked.get("continue_final_message"))
    if any(part in json.dumps(asked) for part in server.poison):
        return server.fails_with, {"error": {"message": "Internal server error"}}
    if server.mode == "strict" and continued:
        return 400, {"error": {"message": "extra field: continue_final_message"}}
    if server.mode == "down":
        return 503, {"error": {"message": "overloaded"}}
    every = [body for body in server.asked if body.get("max_tokens") != 1]
    if server.mode == "limited" and len(every) % 5 == 1:
        return 200, {"error": {"code": 429, "message": "rate limited"}}
    if server.mode == "html":
        return 200, "<html>a page of a proxy</html>"
    text: str | None = HOOK if continued else JUDGE
    message: dict[str, Any] = {"role": "assistant", "content": text}
    finish: str | None = "stop"
    usage: dict[str, int] | None = {"prompt_tokens": 7 if continued else 12, "completion_tokens": 5, "total_tokens": 12}
    if server.mode == "deaf" and usage:
        usage["prompt_tokens"] = 12
    if asked.get("max_tokens") != 1:
        match server.mode:
            case "no choices":
                return 200, {"id": "x", "object": "chat.completion", "choices": None, "usage": usage}
            case "empty choices":
                return 200, {"id": "x", "object": "chat.completion", "choices": [], "usage": usage}
            case "filtered":
                finish, message["content"] = "content_filter", "What is the"
            case "strange end":
                finish = "tool_calls"
            case "null":
                message["content"] = None
            case "only thoughts":
                message |= {"content": None, "reasoning_content": "Let me see…"}
                finish = "length"
            case "thoughts apart":
                message["reasoning"] = "A caption? [[1]]"
            case "thoughts inside":
                message["content"] = text = f"<think>Kind: caption. [[1]]</think>\n\n{text}"
            case "thoughts unopened":
                message["content"] = text = f"Kind: caption. [[1]]</think>{text}"
            case "thoughts unended":
                message["content"] = text = "<think>Let me see, it may be [[1]]"
                finish = "length"
    if server.mode == "no usage":
        usage = None
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    choice |= {"message": message} if chat else {"text": message["content"]}
    return 200, {"id": "x", "object": "chat.completion" if chat else "text_completion", "created": 1, "model": "m",
                 "choices": [choice], "usage": usage}  # fmt: skip


@contextmanager
def serving() -> Iterator[Server]:
    """A server that runs."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()

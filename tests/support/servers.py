"""HTTP servers of a test's own, in threads of this process."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The base URL of a server whose requests are handled so."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


class Answers(BaseHTTPRequestHandler):
    """A handler that answers with JSON and writes no log."""

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers["content-length"]))

    def log_message(self, *_: object) -> None:
        pass


def proof(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a server answers to the question whether it continues a turn: by its counts of tokens it does."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "it"}, "finish_reason": "length"}
    usage = {"prompt_tokens": 7 if asked.get("continue_final_message") else 12, "completion_tokens": 1}
    return {"id": "x", "created": 1, "model": "m", "object": "o", "choices": [choice], "usage": usage}


class Echo(Answers):
    """A server that lists its models, and says no to all else: with the status that its path begins with, and with the
    caller's key in the reason. Under `/sick/` it does not list its models either.
    """

    keys: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        if self.path.startswith("/sick/"):
            self.refuse(401)
        else:
            self.answer(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        asked = json.loads(self.body())
        if int(self.path.split("/")[1]) == 400 and asked["max_tokens"] == 1:
            self.answer(200, proof(asked))  # it refuses prompts, and is a server that continues a turn
        else:
            self.refuse(int(self.path.split("/")[1]))

    def refuse(self, status: int) -> None:
        self.keys.append(self.headers["authorization"])
        self.answer(status, {"error": {"message": f"no good: {self.headers['authorization']}"}})

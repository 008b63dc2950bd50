"""The page's server: on the loopback only, read-only but for marks, and closed to everybody without its token.

Other users of the machine reach the loopback too, and so do pages in the user's own browser. Hence the token (in the
address once, then in a cookie), the check of `Host` (a name of somebody else's that leads here), the check of `Origin`
on the one request that writes, and headers that let the page load and run nothing but its own files.
"""

import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from oasis_ray.errors import JobError, RowError
from oasis_ray.explore.index import here
from oasis_ray.explore.query import Filter, Rows
from oasis_ray.explore.row_image import Pictures
from oasis_ray.output.manifest import read_manifest

ADDRESS = "127.0.0.1"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FILES = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/row.js": ("row.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
Answer = Callable[[Request], Awaitable[Response]]


class Opinion(BaseModel):
    """What the page sends when a key is pressed; null takes the mark back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    mark: Literal["good", "bad"] | None


def application(rows: Rows, token: str, port: int) -> FastAPI:
    """The server of a run's page at `port`. Raises JobError where the folder is no run."""
    folder = str(rows.folder)
    pictures = Pictures(read_manifest(folder))
    cookie = f"oasis_browse_{port}"  # cookies are of a host, whatever the port
    hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
    app = FastAPI(openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, answer: Answer) -> Response:
        response = _refusal(request, token, cookie, hosts) or await answer(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(LookupError)
    @app.exception_handler(duckdb.Error)
    def gone(_: Request, error: Exception) -> JSONResponse:
        told = str(error) if isinstance(error, LookupError) else "parts came or went meanwhile; ask again"
        return JSONResponse({"detail": told}, 404 if isinstance(error, LookupError) else 503)

    @app.exception_handler(JobError)
    def wrong(_: Request, error: JobError) -> JSONResponse:
        return JSONResponse({"detail": "; ".join(error.problems)}, 500)

    for path, (name, kind) in FILES.items():
        app.get(path)(_file(Path(__file__).with_name(name).read_bytes(), kind))

    @app.get("/api/run")
    def run() -> Response:
        manifest = read_manifest(folder)
        told = {"name": rows.folder.name, "recipe": manifest["recipe"], "state": manifest["state"],
                "nodes": [node["name"] for node in manifest["nodes"]], "input_rows": manifest["input"]["rows"],
                "who": rows.who}  # fmt: skip
        return _json({**told, **rows.overview()})

    @app.get("/api/rows")
    def page(wanted: Annotated[Filter, Query()]) -> Response:
        return _json(rows.page(wanted))

    @app.get("/api/row")
    def row(id: str) -> Response:  # noqa: A002  (the parameter's name in the address)
        return _json(rows.row(id))

    @app.get("/image")
    def image(id: str) -> Response:  # noqa: A002
        try:
            data = pictures.show(rows.picture(id))
        except RowError as error:
            raise HTTPException(415, str(error)) from None
        if data is None:
            return Response(status_code=204)
        return Response(data, media_type="image/webp")

    @app.post("/api/marks")
    def mark(made: Opinion) -> Response:
        return _json(rows.mark(made.id, made.mark).model_dump())

    return app


def _refusal(request: Request, token: str, cookie: str, hosts: set[str]) -> Response | None:
    """Why a request gets nothing (or, for the address with the token, the cookie), else None."""
    if request.headers.get("host") not in hosts:
        return PlainTextResponse("this server answers to its own address alone", 421)
    given = request.query_params.get("token")
    if request.url.path == "/" and request.method == "GET" and given is not None and _same(given, token):
        response = RedirectResponse("/", 303)
        response.set_cookie(cookie, token, httponly=True, samesite="strict", path="/")
        return response
    if not _same(request.cookies.get(cookie, ""), token):
        return PlainTextResponse("open the address that `oasis-ray browse` has printed", 403)
    if request.method not in ("GET", "HEAD") and request.headers.get("origin") not in {f"http://{h}" for h in hosts}:
        return PlainTextResponse("only this server's own page may write marks", 403)
    return None


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())  # in a time that tells nothing


def _file(content: bytes, kind: str) -> Callable[[], Response]:
    return lambda: Response(content, media_type=kind)


def _json(value: Any) -> Response:
    """JSON of whatever a part may hold: numbers that JSON lacks become null, bytes base64."""
    text = to_json(value, inf_nan_mode="null", bytes_mode="base64", serialize_unknown=True)
    return Response(text, media_type="application/json")


def serve(folder: str, who: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the page of a run until interrupted; `tell` is given the address that opens it.

    Raises JobError where the folder is no run on this machine, or the port is taken.
    """
    import uvicorn

    read_manifest(str(here(folder)))
    rows = Rows(folder, who)
    try:
        listening = socket.create_server((ADDRESS, port))
    except OSError as error:
        raise JobError(
            [f"--port {port} can't be listened on: {error.strerror}; --port 0 takes any that is free"]
        ) from None
    port, token = listening.getsockname()[1], secrets.token_urlsafe(32)
    app = application(rows, token, port)
    tell(f"http://{ADDRESS}:{port}/?token={token}")
    # No log of requests: the first holds the token.
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)).run([listening])

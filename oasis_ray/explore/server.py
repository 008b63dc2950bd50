"""HTTP server of the `browse` page: listens on the loopback interface only, requires a token, and writes only marks.

Other users of the machine can reach the loopback interface, and so can other pages in the user's browser. Hence the
token (in the address once, then in a cookie), the check of `Host` (against DNS rebinding), the check of `Origin` on the
one request that writes, and a policy that lets the page load and run only its own files.
"""

import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from oasis_ray.errors import JobError, RowError
from oasis_ray.explore.index import local_path
from oasis_ray.explore.query import Filter, Rows
from oasis_ray.explore.row_image import RowImages
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.scales import scales_of

ADDRESS = "127.0.0.1"
HOSTS = (ADDRESS, "localhost")
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
CallNext = Callable[[Request], Awaitable[Response]]


class MarkRequest(BaseModel):
    """Body of a request to mark a row; null removes the mark."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    mark: Literal["good", "bad"] | None


def application(rows: Rows, token: str, port: int) -> FastAPI:
    """Return the application that serves a run's page at `port`. Raises JobError if the folder is not a run."""
    folder = str(rows.folder)
    images = RowImages(read_manifest(folder))
    cookie = f"oasis_browse_{port}"  # browsers send a cookie to every port of its host
    app = FastAPI(openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, call_next: CallNext) -> Response:
        return _refusal(request, token, port, cookie) or await call_next(request)

    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)

    @app.middleware("http")  # added last, so it runs first: refusals carry the headers too
    async def add_headers(request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(LookupError)
    @app.exception_handler(duckdb.Error)
    def gone(_: Request, error: Exception) -> JSONResponse:
        message = str(error) if isinstance(error, LookupError) else "part files changed during the request; try again"
        return JSONResponse({"detail": message}, 404 if isinstance(error, LookupError) else 503)

    @app.exception_handler(JobError)
    def wrong(_: Request, error: JobError) -> JSONResponse:
        return JSONResponse({"detail": "; ".join(error.problems)}, 500)

    for path, (name, kind) in FILES.items():
        app.get(path)(_file(Path(__file__).with_name(name).read_bytes(), kind))

    @app.get("/api/run")
    def run() -> Response:
        manifest = read_manifest(folder)
        facts = {"name": rows.folder.name, "recipe": manifest["recipe"], "state": manifest["state"],
                "nodes": [node["name"] for node in manifest["nodes"]], "input_rows": manifest["input"]["rows"],
                "scales": scales_of(manifest), "who": rows.who}  # fmt: skip
        return _json({**facts, **rows.overview()})

    @app.get("/api/rows")
    def page(filter: Annotated[Filter, Query()]) -> Response:  # noqa: A002
        for outcome in (filter.outcome, filter.after_outcome):
            if outcome is not None and outcome not in rows.outcomes:
                raise HTTPException(422, f"the run has no outcome {outcome!r}; it has: {', '.join(rows.outcomes)}")
        return _json(rows.page(filter))

    @app.get("/api/row")
    def row(id: str) -> Response:  # noqa: A002  (the parameter's name in the address)
        return _json(rows.row(id))

    @app.get("/image")
    def image(id: str) -> Response:  # noqa: A002
        try:
            data = images.show(rows.image(id))
        except RowError as error:
            raise HTTPException(415, str(error)) from None
        if data is None:
            return Response(status_code=204)
        return Response(data, media_type="image/webp")

    @app.post("/api/marks")
    def mark(request: MarkRequest) -> Response:
        return _json(rows.mark(request.id, request.mark).model_dump())

    return app


def _refusal(request: Request, token: str, port: int, cookie: str) -> Response | None:
    """Return the response to a request without access (for the address with the token: the cookie), else None."""
    if request.url.port != port:  # as `Host` says; its name has been checked by then
        return PlainTextResponse("this server responds only at its own address", 421)
    given = request.query_params.get("token")
    if request.url.path == "/" and request.method == "GET" and given is not None and _same(given, token):
        response = RedirectResponse("/", 303)
        response.set_cookie(cookie, token, httponly=True, samesite="strict", path="/")
        return response
    if not _same(request.cookies.get(cookie, ""), token):
        return PlainTextResponse("open the address that `oasis-ray browse` printed", 403)
    origins = {f"http://{name}:{port}" for name in HOSTS}
    if request.method not in ("GET", "HEAD") and request.headers.get("origin") not in origins:
        return PlainTextResponse("only the page of this server may write marks", 403)
    return None


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())  # constant time, so that timing reveals nothing


def _file(content: bytes, kind: str) -> Callable[[], Response]:
    return lambda: Response(content, media_type=kind)


def _json(value: Any) -> Response:
    """Return a JSON response of any value in a part: NaN and infinity become null, bytes become base64."""
    text = to_json(value, inf_nan_mode="null", bytes_mode="base64", serialize_unknown=True)
    return Response(text, media_type="application/json")


def serve(folder: str, who: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve the page of a run until interrupted; `announce` is called with the address that opens it.

    Raises JobError if the folder is not a run on this machine, or the port is in use.
    """
    import uvicorn

    read_manifest(str(local_path(folder)))
    rows = Rows(folder, who)
    try:
        listener = socket.create_server((ADDRESS, port))
    except OSError as error:
        raise JobError([f"--port {port} can't be listened on: {error.strerror}; --port 0 picks a free one"]) from None
    port, token = listener.getsockname()[1], secrets.token_urlsafe(32)
    app = application(rows, token, port)
    announce(f"http://{ADDRESS}:{port}/?token={token}")
    # No access log: the first request contains the token.
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)).run([listener])

"""Server of a pool with `backend: openai`: its API key, and translation of its failures into errors without the key.

The key comes from the environment and is sent only in the header of requests. A server may repeat it in an error
message, so it is removed from all messages.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import openai

from oasis_ray.errors import OasisError, RowError, RunError, ServerFailedError
from oasis_ray.job.pool import Pool

OF_THE_REQUEST = {400, 413, 422}  # bad request, payload too large, unprocessable content
UNLISTED = {404, 405}  # a server that answers, but does not support listing its models
# The request was not sent, so it can't be the cause. By name, because the client uses httpx or httpx2.
NOT_THERE = {"ConnectError", "ConnectTimeout", "UnsupportedProtocol", "ProxyError"}
LOOK_S = 8.0  # timeout of the check, before anything is started, that a server answers


class Server:
    """The server of one pool. Raises RunError for a key that is no valid header: the client's error would show it."""

    def __init__(self, pool: Pool) -> None:
        self.url, self._variable = pool.url or "", pool.api_key_env
        self.key = os.environ.get(pool.api_key_env, "").strip()  # a key from a file often ends in a newline
        if not (self.key.isascii() and self.key.isprintable()):
            text = "contains a character that is invalid in an HTTP header; was it copied correctly?"
            raise RunError(f"the key in ${self._variable} {text}")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translate the client's exceptions.

        Raises RowError if the server rejects this prompt, ServerFailedError if it failed on it, RunError if no request
        can succeed.
        """
        try:
            yield
        except openai.APIStatusError as error:
            raise self._status_error(error) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            text = self._without_key(str(cause)) or type(cause).__name__
            if type(cause).__name__ in NOT_THERE:
                raise RunError(f"{self.url} can't be reached: {text}") from None
            raise ServerFailedError(f"{self.url} did not answer: {text}") from None  # it may crash on this image
        except ServerFailedError as error:
            raise ServerFailedError(f"{self.url}: {self._without_key(str(error))}") from None
        except OasisError:
            raise
        except (
            openai.OpenAIError,
            ValueError,
            TypeError,
            AttributeError,
        ) as error:  # no JSON, or an unexpected structure
            message = f"{type(error).__name__}: {self._without_key(str(error))}"
            raise ServerFailedError(f"{self.url} returned an invalid completion: {message}") from None

    def _status_error(self, error: openai.APIStatusError) -> OasisError:
        message = self._without_key(error.message)
        if error.status_code in OF_THE_REQUEST:
            return RowError("prompt_over_context" if "context length" in error.message else "request_refused", message)
        if error.status_code == 401:
            return RunError(f"{self.url} rejects the key in ${self._variable}: {message}")
        # One image or prompt may cause a server error each time. `pipeline.retry` finds out whether the row does.
        kind = ServerFailedError if error.status_code >= 500 else RunError
        return kind(f"{self.url} answers {error.status_code}: {message}")

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, f"${self._variable}") if self.key else text


def check_servers(pools: Mapping[str, Pool]) -> None:
    """Check that the servers of these pools answer and accept their keys. Raises RunError if not.

    A server that does not support listing its models counts as one that answers.
    """
    for name, pool in pools.items():
        if pool.backend != "openai":
            continue
        server = Server(pool)
        client = openai.OpenAI(base_url=pool.url, api_key=server.key or "none", timeout=LOOK_S, max_retries=0)
        try:
            with server.errors():
                _look(client, server.url)
        except ServerFailedError:
            continue
        except RunError as error:
            raise RunError(f"pool '{name}': {error}") from None
        finally:
            client.close()


def _look(client: openai.OpenAI, url: str) -> None:
    try:
        with may_not_list():
            client.models.list()
    except openai.APITimeoutError:
        raise RunError(f"{url} can't be reached: it did not answer within {LOOK_S:g} s") from None


@contextmanager
def may_not_list() -> Iterator[None]:
    """Ignore the error of a server that answers, but does not support listing its models."""
    try:
        yield
    except openai.APIStatusError as error:
        if error.status_code not in UNLISTED:
            raise

"""A server of a pool with `backend: openai`: its key, and its failures as errors of ours that never hold the key.

The key comes from the environment and goes into the request's header alone. A server may repeat it in what it says of a
request that it refuses, so every error is told without it.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import openai

from oasis_ray.errors import OasisError, RowError, RunError, ServerFailedError
from oasis_ray.job.pool import Pool

OF_THE_REQUEST = {400, 413, 422}  # a bad request, too large, or one whose content does not suit the server
UNLISTED = {404, 405}  # of a server that answers and does not list its models
# Nothing has been asked yet, so it is not the request. By name, since the client brings httpx or httpx2.
NOT_THERE = {"ConnectError", "ConnectTimeout", "UnsupportedProtocol", "ProxyError"}
LOOK_S = 8.0  # for a server to answer at all, before anything is started for it


class Server:
    """The server of one pool. Raises RunError where no header can carry its key: the client's error would show it."""

    def __init__(self, pool: Pool) -> None:
        self.url, self._variable = pool.url or "", pool.api_key_env
        self.key = os.environ.get(pool.api_key_env, "").strip()  # one from a file often ends in a newline
        if not (self.key.isascii() and self.key.isprintable()):
            text = "holds a character that an HTTP header can't carry; was it copied whole?"
            raise RunError(f"the key in ${self._variable} {text}")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Whatever the client raises, as an error of ours.

        RowError where the server refuses this prompt, ServerFailedError where it failed on it, RunError where no
        request would get through.
        """
        try:
            yield
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            text = self._without_key(str(cause)) or type(cause).__name__
            if type(cause).__name__ in NOT_THERE:
                raise RunError(f"{self.url} can't be reached: {text}") from None
            raise ServerFailedError(f"{self.url} did not answer: {text}") from None  # it may break on this one image
        except ServerFailedError as error:
            raise ServerFailedError(f"{self.url}: {self._without_key(str(error))}") from None
        except OasisError:
            raise
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:  # no JSON, or of another form
            said = f"{type(error).__name__}: {self._without_key(str(error))}"
            raise ServerFailedError(f"{self.url} answers what is no completion: {said}") from None

    def _refused(self, error: openai.APIStatusError) -> OasisError:
        said = self._without_key(error.message)
        if error.status_code in OF_THE_REQUEST:
            return RowError("prompt_over_context" if "context length" in error.message else "request_refused", said)
        if error.status_code == 401:
            return RunError(f"{self.url} refuses the key in ${self._variable}: {said}")
        # A server error may come with one image or prompt each time. Whether it is the row is found by trial (`guard`).
        kind = ServerFailedError if error.status_code >= 500 else RunError
        return kind(f"{self.url} answers {error.status_code}: {said}")

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, f"${self._variable}") if self.key else text


def check_servers(pools: Mapping[str, Pool]) -> None:
    """Return if every server among these pools answers and takes its key. Raises RunError with what is wrong.

    A server that does not list its models is taken for one that answers.
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
        client.models.list()
    except openai.APITimeoutError:
        raise RunError(f"{url} can't be reached: it did not answer within {LOOK_S:g} s") from None
    except openai.APIStatusError as error:
        if error.status_code not in UNLISTED:
            raise

"""Scripted engine: the reply is a function of the call. For tests of pipelines and stages."""

import inspect
from collections.abc import Awaitable, Callable
from importlib import import_module

from oasis_ray.errors import RunError
from oasis_ray.types import Call, Reply


class ScriptedEngine:
    """Replies with `script(call)`; the script may be a coroutine function."""

    def __init__(self, script: Callable[[Call], Reply | Awaitable[Reply]]) -> None:
        self._script = script

    @classmethod
    def named(cls, name: str) -> "ScriptedEngine":
        """Load the script `package.module:function`. Raises RunError if it can't be imported."""
        module, _, function = name.partition(":")
        try:
            return cls(getattr(import_module(module), function))
        except (ImportError, AttributeError, ValueError) as error:
            raise RunError(f"script {name!r} can't be imported: {error}") from None

    async def ask(self, call: Call) -> Reply:
        """Return the reply of the script."""
        reply = self._script(call)
        return await reply if inspect.isawaitable(reply) else reply

    async def check(self) -> None:
        """Do nothing: a function is always healthy."""

    def close(self) -> None:
        """Do nothing: there is no process to end."""

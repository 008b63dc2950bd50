"""Scripted engine: the reply is a function of the call. For tests of pipelines and stages."""

import inspect
from collections.abc import Awaitable, Callable

from oasis_ray.errors import RunError
from oasis_ray.job.script import find_script
from oasis_ray.types import Call, Reply


class ScriptedEngine:
    """Replies with `script(call)`; the script may be a coroutine function."""

    def __init__(self, script: Callable[[Call], Reply | Awaitable[Reply]]) -> None:
        self._script = script

    @classmethod
    def named(cls, name: str) -> "ScriptedEngine":
        """Load the script `package.module:function`. Raises RunError if it can't be imported on this machine."""
        try:
            return cls(find_script(name))
        except ValueError as error:
            raise RunError(str(error)) from None

    async def ask(self, call: Call) -> Reply:
        """Return the reply of the script."""
        reply = self._script(call)
        return await reply if inspect.isawaitable(reply) else reply

    async def check(self) -> None:
        """Do nothing: a function is always healthy."""

    def close(self) -> None:
        """Do nothing: there is no process to end."""

"""An engine whose reply is a function of the call: for the logic of graphs and stages, in tests."""

import inspect
from collections.abc import Awaitable, Callable
from importlib import import_module

from oasis_ray.errors import RunError
from oasis_ray.types import Call, Reply


class ScriptedEngine:
    """Answers with `script(call)`, which may be a coroutine function."""

    def __init__(self, script: Callable[[Call], Reply | Awaitable[Reply]]) -> None:
        self._script = script

    @classmethod
    def named(cls, name: str) -> "ScriptedEngine":
        """The script at `package.module:function`. Raises RunError where there is none."""
        module, _, function = name.partition(":")
        try:
            return cls(getattr(import_module(module), function))
        except (ImportError, AttributeError, ValueError) as error:
            raise RunError(f"script {name!r} can't be imported: {error}") from None

    async def ask(self, call: Call) -> Reply:
        """What the script says."""
        reply = self._script(call)
        return await reply if inspect.isawaitable(reply) else reply

    async def check(self) -> None:
        """A function is always well."""

    def close(self) -> None:
        """Nothing was started."""

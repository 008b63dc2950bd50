"""Scripts: the Python functions that answer in place of a model, found by the name that a pool gives them."""

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import isfunction
from types import ModuleType
from typing import Any

from oasis_ray.errors import nearest
from oasis_ray.job.pool import Pool

NAME = re.compile(r"(?P<module>\w+(\.\w+)*):(?P<function>\w+)")


def script_problems(pools: Mapping[str, Pool]) -> Iterator[str]:
    """Yield what is wrong with the scripts of these pools, which are imported, as stages are, where the job is loaded.

    A job that is sent to a cluster is loaded there, in its working directory.
    """
    for name, pool in pools.items():
        if pool.backend in ("scripted", "simulated"):
            try:
                find_script(pool.script or "")
            except ValueError as error:
                yield f"pools.{name}: {error}"


def find_script(name: str) -> Callable[..., Any]:
    """Import the script `package.module:function`. Raises ValueError, with what failed and what to do, if it can't."""
    at = f"script {name!r} can't be imported"
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{at}: write it as `package.module:function`")
    module = _module(match["module"], at)
    functions = [key for key, value in vars(module).items() if isfunction(value) and not key.startswith("_")]
    has = f"it has: {', '.join(functions)}" if functions else "it has none"
    try:
        script = getattr(module, match["function"])
    except AttributeError:
        what = f"module '{match['module']}' has no function '{match['function']}'"
        advice = f"correct the name, or add the function ({has}).{nearest(match['function'], functions)}"
        raise ValueError(f"{at}: {what}; {advice}") from None
    if not callable(script):
        kind = type(script).__name__
        raise ValueError(
            f"{at}: '{match['function']}' of module '{match['module']}' can't be called, it is of type {kind}; name a "
            f"function that takes a Call and returns a Reply ({has})"
        )
    return script  # type: ignore[no-any-return]


def _module(name: str, at: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:  # a module may raise anything while it is imported
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent is not None and f"{name}.".startswith(f"{absent}."):
            advice = "correct the name, or let Python find it: set PYTHONPATH to its folder, or install its package"
            raise ValueError(f"{at}: there is no module '{absent}' in Python's path; {advice}") from None
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{at}: module '{name}' fails when it is imported ({what}); correct the module") from None

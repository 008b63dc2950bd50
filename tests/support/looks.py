"""A script that keeps the environment in which its engine was opened: it is imported then."""

import os

from oasis_ray.types import Call, Reply

found = dict(os.environ)


def environment(call: Call) -> Reply:
    """Nothing of interest."""
    return Reply.of("seen")

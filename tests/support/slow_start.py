"""A script whose engine takes long to start: its module is slow to import."""

import time

from tests.support.scripts import oasis

__all__ = ["oasis"]
time.sleep(5)

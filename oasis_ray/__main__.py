"""`python -m oasis_ray` is the command `oasis-ray`."""

from oasis_ray.cli import main

main()

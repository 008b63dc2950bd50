"""`python -m oasis_ray.cli` runs the command `oasis-ray`."""

from oasis_ray.cli import main

main()

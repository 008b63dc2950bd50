"""Cost: what a run has cost and what it will cost. Arithmetic on manifests, counts and the rows of a probe; no Ray."""

"""Cost: bill and forecast of a run, computed from manifests, counts and the rows of a probe. No Ray."""

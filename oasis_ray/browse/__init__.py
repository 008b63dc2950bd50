"""A local page over the rows of a run: filter, look, mark."""

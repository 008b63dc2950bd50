"""MM-INF's recipes on images of the world: their input, their jobs, the engines they share, and what of it is right."""

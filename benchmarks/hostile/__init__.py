"""Hostile input, the same for the same seed: files that are no pictures, paths, ids and texts that mean harm."""

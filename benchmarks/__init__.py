"""Benchmarks, and the small models and pictures that the demo and the tests run on."""

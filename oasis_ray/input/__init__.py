"""Input: finds the input files, assigns ids to rows, and checks and decodes images.

It scores nothing, and only `ingest` writes files.
"""

"""Input: finds the input files, assigns ids to rows, and checks and decodes images.

It judges nothing, and only `ingest` writes files.
"""

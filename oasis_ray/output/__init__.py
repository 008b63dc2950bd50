"""Output: the run folder: the format of its files, the rule that decides whether a row has ended, and the audit.

Only `sink` imports Ray.
"""

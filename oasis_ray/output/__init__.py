"""Output: the run folder. The format of its files, the rule for when a row has ended, and the audit that proves it.

Only `sink` imports Ray.
"""

"""Output: the run folder. What is written there, when a row has ended, and how that is proved.

Only `sink` imports Ray.
"""

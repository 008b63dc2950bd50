"""Recipe: a recipe as it is written and as it is bound to stages, and the row that travels through it.

Pure: no network, no clock, and no files but prompts.
"""

"""Recipe: the recipe file, the recipe bound to stages, and the row that passes through its nodes.

Pure: no network, no clock, and no files except prompts.
"""

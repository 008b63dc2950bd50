"""Recipe: models of the recipe file, binding of nodes to stages, and the state of a row.

No network, and no files except prompts.
"""

"""Engine: one model in this process answers one call. It knows no order of rows, no cluster and no recipe.

Only `vllm` imports vllm.
"""

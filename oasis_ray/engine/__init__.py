"""Engine: one model in this process answers calls. It does not depend on rows, cluster or recipe.

Only `engine.vllm` imports vllm.
"""

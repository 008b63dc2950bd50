"""Engine: an engine is one model, loaded in the current process, that answers requests.

It does not depend on rows, cluster or recipe. Only `engine.vllm` imports vllm.
"""

"""The framework: nodes, pools, rows and sinks. It knows nothing of Oasis; `stages` and `prompts` do."""

"""The framework: nodes, pools, rows and sinks. It knows no recipe; `stages`, `stages/recipes` and `prompts` do."""

"""How much of the engines' own speed is left, and how much is gained over other ways to do the same."""

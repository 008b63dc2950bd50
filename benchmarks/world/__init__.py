"""A small closed world whose truth is known: scenes, their pictures, and what can be said about them."""

"""Explore: looks into run folders row by row, and writes nothing but annotations. No Ray."""

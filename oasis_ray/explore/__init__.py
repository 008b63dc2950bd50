"""Explore: inspects run folders row by row. Writes only annotations, and does not import Ray."""

"""Input: rows and images come in. They are listed, addressed, checked and decoded; nothing is judged, and only `ingest`
writes.
"""

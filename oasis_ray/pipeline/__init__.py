"""Pipeline: rows go through their nodes, each to exactly one outcome. It does not decide when a run begins or ends."""

"""Pipeline: takes each row through its nodes to exactly one outcome. Does not decide when a run begins or ends."""

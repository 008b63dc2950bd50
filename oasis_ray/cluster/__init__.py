"""Cluster: the machines. Nodes are counted, capacity is measured, jobs are submitted; no job or recipe is known here.

Only `connection`, `autoscaler`, `metrics`, `cluster_memory` and `job_submission` import Ray.
"""

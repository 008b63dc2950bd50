"""Cluster: machines, capacity, job submission and metrics. Knows nothing of jobs' contents or recipes.

Only `connection`, `autoscaler`, `metrics`, `cluster_memory` and `job_submission` import Ray.
"""

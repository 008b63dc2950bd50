"""Cluster: machines, capacity, job submission and metrics. Does not know recipes or the contents of jobs.

Only `connection`, `autoscaler`, `metrics`, `cluster_memory` and `job_submission` import Ray.
"""

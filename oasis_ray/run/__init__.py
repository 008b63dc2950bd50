"""Run: one session of a job. It opens or resumes the run folder, starts engines, carries rows, watches, and closes.

Only `ray_executor` imports Ray; it is imported when a job runs on Ray.
"""

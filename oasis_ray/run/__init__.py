"""Run: one session of a job. It opens or resumes the run folder and starts the engines.

Then it processes the rows, monitors progress, and shuts the engines down. Only `ray_executor` imports Ray, and it is
itself imported only for jobs that run on Ray.
"""

"""Job: the keys of a job file, one noun per module, and how the file is loaded.

Validators touch neither disk nor network.
"""

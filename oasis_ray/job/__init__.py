"""Job: models of the job file, one per module, and loading of the file.

Validators use neither disk nor network.
"""

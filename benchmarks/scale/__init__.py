"""How the service grows: engines from 1 to 64, a slow engine among them, and rows up to a million.

Ray, Serve, Ray Data and files are real; engines are simulated, so that 64 of them fit a small machine. Their clock is
slow (an eighth of a 72B model's on four GPUs), since two cores carry a few dozen rows a second: what is asked here is
whether rows spread and flow, and what each costs the processors.
"""

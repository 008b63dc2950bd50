"""Report: statistics of runs and data sets as one HTML page. Only `parallel` imports Ray."""

"""Report: the statistics of runs and data sets as one page. Only `parallel` imports Ray."""

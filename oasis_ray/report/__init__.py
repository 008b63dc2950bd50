"""The statistics report of runs and data sets: measured as a Ray Data job, shown as one page that opens offline."""

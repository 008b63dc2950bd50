"""The statistics report of runs and data sets: counted here or on Ray, shown as one page that opens offline."""

"""Data sets in the forms that others load, made from the accepted rows and captions of runs."""

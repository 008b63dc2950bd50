"""Export: accepted rows as a data set that trainers load. No Ray."""

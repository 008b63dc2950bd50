"""What tests share: builders of rows, jobs and run folders, and the processes that some of them need."""

"""Stats: mergeable statistics of texts and images. No Ray."""

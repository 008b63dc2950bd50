"""Stats: mergeable measures of texts and images. No files and no Ray."""

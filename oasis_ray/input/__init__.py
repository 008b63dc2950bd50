"""Input: lists, addresses, checks and decodes rows and images. It judges nothing, and only `ingest` writes files."""

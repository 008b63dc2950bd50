"""Pool: placement, leases and routing of replicas. It handles requests and knows nothing of recipes."""

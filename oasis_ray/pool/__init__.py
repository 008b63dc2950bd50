"""Pool: engines as replicas that are placed, leased and routed to. It knows requests, not recipes."""

"""Who may write: one process at a time, on one machine or in a cluster."""

"""Whether the transfer pool has what test rows look like."""

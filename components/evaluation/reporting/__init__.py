"""Writing what was measured and decided, for people."""

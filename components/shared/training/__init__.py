"""The training loop and its objectives, for every step that trains."""

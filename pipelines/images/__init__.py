"""Building the container images: what they hold, and how large they are."""

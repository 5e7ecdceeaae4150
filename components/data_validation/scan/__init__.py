"""One pass over a data set in bounded memory: counts, witnesses and hashes for the checks."""

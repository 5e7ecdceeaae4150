"""Train teacher, student and baselines with one trainer."""

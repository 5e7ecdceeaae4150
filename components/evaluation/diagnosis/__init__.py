"""Why distillation did or did not help: from measurements to findings; pure functions."""

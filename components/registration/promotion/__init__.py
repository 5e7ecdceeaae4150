"""Moving the alias that serving reads: states, history, and the moves themselves."""

"""Methods of distillation compared on one's own data, over seeds."""

"""Every kind of teacher, as something that gives logits for raw rows."""

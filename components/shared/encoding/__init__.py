"""From the Arrow columns of some rows to the raw inputs of models, float32."""

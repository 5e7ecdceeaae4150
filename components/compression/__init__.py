"""Turn trained models into files that can be deployed."""

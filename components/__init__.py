"""kubedistill's pipeline components, one folder per step."""

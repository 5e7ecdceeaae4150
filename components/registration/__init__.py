"""Record every run in MLflow; move, take back and compare what serving reads."""

from components.shared.mlflow_settings import set_mlflow_defaults

set_mlflow_defaults()

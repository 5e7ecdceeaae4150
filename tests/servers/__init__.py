"""Real servers for tests, on loopback."""

import components.registration  # noqa: F401 - MLflow's settings: no telemetry, bounded retries

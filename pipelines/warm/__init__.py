"""Warm interpreters: on one machine, a step starts as a fork of a process that has its image's
libraries loaded.

Three processes take part. The run (``interpreters``) starts one server for each container image and
rewrites the pipeline so that a step's command calls the client. The client (``client``) stands in
the step's place below KFP's runner: it hands its arguments, environment and standard streams to the
server, passes signals on, and exits with the step's status. The server (``server``) imports the
image's libraries once and forks for each step.

Components know nothing of it, and a step gives the same result as in a new interpreter.
"""

from pipelines.warm.interpreters import WarmInterpreters, warm_interpreters

__all__ = ["WarmInterpreters", "warm_interpreters"]

"""Steps in containers of their images, through KFP's own Docker runner.

``runner`` is what a run uses. What a container may do and what it is given is decided once for a
run: ``hardening`` (user, rights, limits) and ``surroundings`` (network, folders, environment
variables). ``engine`` talks to the Docker engine before the first step. ``handler`` stands between
KFP and each container, and takes a step for done only when the engine saw it end with status 0
(``endings``) and it said so itself: KFP also takes a container for done that is gone before it was
asked. ``lifetime`` sees to it that no container outlives the run, however that ends: a process of
its own (``reaper``) stops and removes what is left.

The steps know nothing of it, and give the same result as in processes.
"""

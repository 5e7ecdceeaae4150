"""What keeps a pod out of a namespace under the ``restricted`` pod security standard, and what we
ask of a pod beyond it."""

from collections.abc import Iterator

from tests.manifests.rendering import Object, Pod

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_HOST = ("hostNetwork", "hostPID", "hostIPC")


def violations(pod: Pod) -> Iterator[str]:
    """Of the standard."""
    of_pod = pod.spec.get("securityContext", {})
    for field in _HOST:
        if pod.spec.get(field):
            yield f"{pod.name}: {field}"
    for volume in pod.spec.get("volumes", []):
        if kinds := volume.keys() - _VOLUMES - {"name"}:
            yield f"{pod.name}: volume {volume['name']} is {kinds}"
    for container in pod.containers:
        where = f"{pod.name}, {container['name']}"
        own = container.get("securityContext", {})
        for fault in _of_container(of_pod | own):
            yield f"{where}: {fault}"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{where}: hostPort"


def _of_container(context: Object) -> Iterator[str]:
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if context.get("runAsUser") == 0:
        yield "runAsUser 0"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if context.get("privileged"):
        yield "privileged"
    if context.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "seccompProfile"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "capabilities"
    if context.keys() & {"procMount", "seLinuxOptions", "windowsOptions"}:
        yield "an option that is not checked here"


def shortcomings(pod: Pod) -> Iterator[str]:
    """By our own rules: nothing is writable but volumes, which are bounded, and no token comes
    unasked."""
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield f"{pod.name}: automountServiceAccountToken"
    for volume in pod.spec.get("volumes", []):
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"{pod.name}: {volume['name']} has no sizeLimit"
    for container in pod.containers:
        where = f"{pod.name}, {container['name']}"
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{where}: readOnlyRootFilesystem"


def unbounded(pod: Pod) -> Iterator[str]:
    """What a container does not say of its use."""
    for container in pod.containers:
        where = f"{pod.name}, {container['name']}"
        for bound in ("requests", "limits"):
            missing = {"cpu", "memory"} - container.get("resources", {}).get(bound, {}).keys()
            if missing:
                yield f"{where}: no {bound} of {sorted(missing)}"

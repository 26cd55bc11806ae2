#!/usr/bin/env python3
"""Writes table.txt from Kubernetes' generated.proto files: table.py API_REPO MACHINERY_REPO (git directories).

A message begins with `@name`; each field is `number jsonName type`. Types: s string, b bool, i integer, d double,
y bytes, T Time, U MicroTime, Q Quantity, O IntOrString, R RawExtension, F FieldsV1, M<message>; `*` before: repeated;
`%` before: map from string. A field named `-` is inlined into its parent, as Go's json tag says.
"""
import re
import subprocess
import sys

API, MACHINERY = sys.argv[1:3]
GROUPS = ["apps", "authentication", "authorization", "batch", "coordination", "core", "discovery", "events", "networking", "policy", "rbac", "scheduling", "storage"]
FILES = [(API, f"{group}/v1/generated.proto") for group in GROUPS]
FILES += [(API, "autoscaling/v2/generated.proto"), (API, "autoscaling/v1/generated.proto")]
FILES += [(MACHINERY, "pkg/apis/meta/v1/generated.proto")]
ROOTS = """core.v1: Namespace Node Pod Service Endpoints ConfigMap Secret ServiceAccount PersistentVolumeClaim PersistentVolume Event
apps.v1: Deployment ReplicaSet StatefulSet DaemonSet
batch.v1: Job CronJob
autoscaling.v1: Scale
autoscaling.v2: HorizontalPodAutoscaler
policy.v1: PodDisruptionBudget
networking.v1: Ingress IngressClass NetworkPolicy
discovery.v1: EndpointSlice
coordination.v1: Lease
rbac.v1: Role RoleBinding ClusterRole ClusterRoleBinding
storage.v1: StorageClass
scheduling.v1: PriorityClass
events.v1: Event
authorization.v1: SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
authentication.v1: SelfSubjectReview
meta.v1: DeleteOptions"""
SPECIAL = {"meta.v1.Time": "T", "meta.v1.MicroTime": "U", "resource.Quantity": "Q", "intstr.IntOrString": "O", "runtime.RawExtension": "R", "meta.v1.FieldsV1": "F"}
SCALAR = {"string": "s", "bool": "b", "int32": "i", "int64": "i", "uint32": "i", "uint64": "i", "double": "d", "bytes": "y"}
INLINE = {"handler", "volumeSource", "localObjectReference", "ephemeralContainerCommon", "persistentVolumeSource"}
WRITTEN_BY_CONTROLLERS = re.compile(r"Status$|Condition$")


def short(name, package):
    name = name.lstrip(".")
    if "." not in name:
        name = f"{package}.{name}"
    name = re.sub(r"^k8s\.io\.(api|apimachinery\.pkg\.apis)\.", "", name)
    return re.sub(r"^k8s\.io\.apimachinery\.pkg\.(api\.)?(util\.)?", "", name)


def code(kind, package):
    if kind in SCALAR:
        return SCALAR[kind]
    name = short(kind, package)
    return SPECIAL.get(name, f"M{name}")


messages = {}
for repo, path in FILES:
    text = subprocess.check_output(["git", "-C", repo, "show", f"HEAD:{path}"], text=True)
    package = re.search(r"^package ([\w.]+);", text, re.M)[1]
    current = None
    for line in text.splitlines():
        line = line.strip()
        if found := re.match(r"message (\w+) \{", line):
            current = messages.setdefault(short(found[1], package), [])
        elif found := re.match(r"map<string, ([\w.]+)> (\w+) = (\d+);", line):
            current.append((int(found[3]), found[2], "%" + code(found[1], package)))
        elif found := re.match(r"(optional|repeated) ([\w.]+) (\w+) = (\d+)", line):
            kind = code(found[2], package)
            name = "-" if found[3] in INLINE and kind.startswith("M") else found[3]
            current.append((int(found[4]), name, ("*" if found[1] == "repeated" else "") + kind))

wanted, queue = [], []
for line in ROOTS.splitlines():
    group, kinds = line.split(": ")
    queue += [f"{group}.{kind}" for kind in kinds.split()]
while queue:
    name = queue.pop(0)
    if name in wanted or name not in messages:
        continue
    wanted.append(name)
    for _, _, kind in messages[name]:
        kind = kind.lstrip("*%")
        if kind.startswith("M") and not WRITTEN_BY_CONTROLLERS.search(kind):
            queue.append(kind[1:])
for name in sorted(wanted):
    print(f"@{name}")
    for number, field, kind in sorted(messages[name]):
        if kind.lstrip("*%")[:1] == "M" and kind.lstrip("*%")[1:] not in messages:
            sys.stderr.write(f"{name}.{field}: no message {kind}\n")
        if not WRITTEN_BY_CONTROLLERS.search(kind):
            print(number, field, kind)

# What Kubernetes does to a node whose disk is full.
kubectl taint nodes --all node.kubernetes.io/disk-pressure:NoSchedule

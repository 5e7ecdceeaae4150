"""Against a real Kubernetes API server: etcd and kube-apiserver, without nodes."""

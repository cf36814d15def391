package main

import "fmt"

// etcdArgs are etcd's flags: one member, loopback only, and no fsync, because the data need not outlive the machine.
func (p *plane) etcdArgs() []string {
	client := fmt.Sprintf("http://127.0.0.1:%d", p.ports.etcdClient)
	peer := fmt.Sprintf("http://127.0.0.1:%d", p.ports.etcdPeer)
	return []string{
		"--name=controlplane",
		"--data-dir=" + p.file("etcd-data"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=controlplane=" + peer,
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

// apiserverArgs are the API server's flags. Admission is the default: nothing is switched off.
func (p *plane) apiserverArgs() []string {
	return []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", p.ports.etcdClient),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", p.ports.apiserver),
		"--advertise-address=" + advertised,
		"--tls-cert-file=" + p.file("apiserver.crt"),
		"--tls-private-key-file=" + p.file("apiserver.key"),
		"--client-ca-file=" + p.file("ca.crt"),
		"--token-auth-file=" + p.file("tokens.csv"),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + p.file("service-account.key"),
		"--service-account-signing-key-file=" + p.file("service-account.key"),
		"--service-cluster-ip-range=" + serviceRange,
		// As clusters have it, so that Pod Security is what refuses a privileged pod.
		"--allow-privileged=true",
		"--audit-policy-file=" + p.file("audit-policy.yaml"),
		"--audit-log-path=" + p.file("audit.log"),
		// Ends the watches when it is told to end; else it waits a minute for its clients to end them.
		"--shutdown-watch-termination-grace-period=5s",
		// The request waits for its line, and no line moves to another file: the log is an exact count. (In megabytes; 0
		// stands for 100, which thousands of namespaces fill.)
		"--audit-log-mode=blocking",
		"--audit-log-maxsize=1000000",
		"--audit-log-maxage=0",
		"--audit-log-maxbackup=0",
	}
}

// controllerManagerArgs are the controller manager's flags.
func (p *plane) controllerManagerArgs() []string {
	return []string{
		"--kubeconfig=" + p.file("controller-manager.kubeconfig"),
		"--authentication-kubeconfig=" + p.file("controller-manager.kubeconfig"),
		"--authorization-kubeconfig=" + p.file("controller-manager.kubeconfig"),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", p.ports.controllerManager),
		"--cert-dir=" + p.file("controller-manager-certs"),
		"--leader-elect=false",
		"--use-service-account-credentials",
		"--root-ca-file=" + p.file("ca.crt"),
		"--service-account-private-key-file=" + p.file("service-account.key"),
		// The default of 20 a second lags minutes behind thousands of new namespaces.
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
		// It makes this directory, by default in the system's.
		"--flex-volume-plugin-dir=" + p.file("flexvolume"),
	}
}

// The three components of a Kubernetes control plane in one binary: etcd, kube-apiserver and
// kube-controller-manager, imported from their published Go modules at the versions that go.mod pins; and kubectl, for
// machines that have none.
//
// It acts as the component that its own name says (the cache holds one link per component, so the folder
// looks like any KUBEBUILDER_ASSETS folder), or else as the one that its first argument names.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // as upstream's main does: CronJob time zones

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // as upstream's main does: the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // as upstream's main does: client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // as upstream's main does: the version metric
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	if !run(name) {
		if len(os.Args) > 1 {
			name = os.Args[1]
			os.Args = os.Args[1:]
		}
		if !run(name) {
			fmt.Fprintf(os.Stderr, "components: %q is none of etcd, kube-apiserver, kube-controller-manager, kubectl\n", name)
			os.Exit(2)
		}
	}
}

// run acts as the component `name` until it ends, or answers false when there is no such component.
func run(name string) bool {
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "kubectl":
		// As upstream's main does: kubectl prints its errors itself.
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
		os.Exit(0)
	default:
		return false
	}
	return true
}

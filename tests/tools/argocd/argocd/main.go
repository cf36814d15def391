// Command argocd runs parts of Argo CD:
//
//	argocd lua SETTINGS    what it makes of objects: their health and actions (see lua.go)
//
// and, with all of their flags, its programs application-controller, applicationset-controller and repo-server.
package main

import (
	"fmt"
	"os"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	sets "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{Use: "argocd", SilenceUsage: true}
	for name, command := range map[string]*cobra.Command{
		"application-controller":    controller.NewCommand(),
		"applicationset-controller": sets.NewCommand(),
		"repo-server":               reposerver.NewCommand(),
		"lua":                       {Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error { return runLua(args[0]) }},
	} {
		command.Use = name
		root.AddCommand(command)
	}
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "argocd:", err)
		os.Exit(1)
	}
}

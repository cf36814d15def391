package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// auditedUser is the one user whose requests are in the audit log: the operator's ServiceAccount.
const auditedUser = "system:serviceaccount:security-baseline-system:security-baseline-operator"

// auditPolicy records each request once, when it is complete (a watch also when it begins), with its body.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  users: ["` + auditedUser + `"]
- level: None
`

// credentials are what does not change when the ports do.
type credentials struct {
	ca                *authority
	adminToken        string
	controllerManager keyPair
}

// file is the path of a file in the plane's directory.
func (p *plane) file(name string) string { return filepath.Join(p.dir, name) }

// writeCredentials makes keys, certificates and tokens, and writes the files that hold them.
func (p *plane) writeCredentials() error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	serving, err := ca.serving(names, []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(kubernetesIP)})
	if err != nil {
		return err
	}
	controllerManager, err := ca.client("system:kube-controller-manager")
	if err != nil {
		return err
	}
	signingKey, err := newServiceAccountKey()
	if err != nil {
		return err
	}
	token := make([]byte, 24)
	if _, err := rand.Read(token); err != nil {
		return err
	}
	p.credentials = credentials{ca, hex.EncodeToString(token), controllerManager}
	if err := serving.write(p.file("apiserver")); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ca.crt":              ca.cert,
		"service-account.key": signingKey,
		"tokens.csv":          []byte(p.credentials.adminToken + `,admin,admin,"system:masters"` + "\n"),
		"audit-policy.yaml":   []byte(auditPolicy),
		// The API server makes it with its first event; a reader need not wait for that.
		"audit.log": nil,
	} {
		if err := os.WriteFile(p.file(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeKubeconfigs writes the kubeconfigs of the admin and of the controller manager for the API server's port.
func (p *plane) writeKubeconfigs() error {
	admin := map[string]string{"token": p.credentials.adminToken}
	controllerManager := map[string]string{
		"client-certificate-data": base64.StdEncoding.EncodeToString(p.credentials.controllerManager.cert),
		"client-key-data":         base64.StdEncoding.EncodeToString(p.credentials.controllerManager.key),
	}
	for name, user := range map[string]map[string]string{"admin": admin, "controller-manager": controllerManager} {
		text, err := p.kubeconfig(name, user)
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.file(name+".kubeconfig"), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// kubeconfig is a self-contained kubeconfig. It is JSON, which is YAML too.
func (p *plane) kubeconfig(name string, user map[string]string) ([]byte, error) {
	cluster := map[string]string{
		"server":                     p.url(),
		"certificate-authority-data": base64.StdEncoding.EncodeToString(p.credentials.ca.cert),
	}
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": "controlplane",
		"clusters":        []any{map[string]any{"name": "controlplane", "cluster": cluster}},
		"users":           []any{map[string]any{"name": name, "user": user}},
		"contexts":        []any{map[string]any{"name": "controlplane", "context": map[string]string{"cluster": "controlplane", "user": name}}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of %s: %w", name, err)
	}
	return append(text, '\n'), nil
}

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// errPortTaken is the failure that new ports may mend.
var errPortTaken = errors.New("a port was taken in between")

const (
	defaultAccount = "/api/v1/namespaces/default/serviceaccounts/default"
	rootCA         = "/api/v1/namespaces/default/configmaps/kube-root-ca.crt"
	pollEvery      = 20 * time.Millisecond
)

// awaitUp waits until a component that was just started works. One that died instead is an error with the end of
// its log.
func (p *plane) awaitUp(process *process) error {
	client := p.httpClient()
	defer client.CloseIdleConnections()
	deadline := time.After(upTimeout)
	for {
		last := p.check(client, process.name)
		if last == nil {
			return nil
		}
		select {
		case <-process.exited:
			log := process.tail(failureTail)
			err := fmt.Errorf("%s died at its start; the end of its log:\n%s", process.name, log)
			if portTaken(log) {
				return errors.Join(errPortTaken, err)
			}
			return err
		case <-deadline:
			return fmt.Errorf("%s does not work %v after its start (%w); the end of its log:\n%s",
				process.name, upTimeout, last, process.tail(failureTail))
		case <-time.After(pollEvery):
		}
	}
}

// check is nil when a component does its work.
func (p *plane) check(client *http.Client, name string) error {
	switch name {
	case etcd:
		// Versions before 3.6 have no /readyz.
		return expect(client, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/health", p.ports.etcdClient), "", nil)
	case apiserver:
		return p.request(client, http.MethodGet, "/readyz", nil)
	default:
		// Its health endpoint answers before its controllers work; what they make is the proof.
		if err := p.request(client, http.MethodGet, defaultAccount, nil); err != nil {
			return err
		}
		return p.request(client, http.MethodGet, rootCA, nil)
	}
}

// removeRootCA removes what a working controller manager makes again.
func (p *plane) removeRootCA() error {
	client := p.httpClient()
	defer client.CloseIdleConnections()
	err := p.request(client, http.MethodDelete, rootCA, nil)
	var status statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound {
		return nil
	}
	return err
}

// createDNS creates the Service of the cluster's DNS, which any cluster has.
func (p *plane) createDNS() error {
	labels := map[string]string{"k8s-app": "kube-dns"}
	port := func(name, protocol string, number int) map[string]any {
		return map[string]any{"name": name, "protocol": protocol, "port": number, "targetPort": number}
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "Service",
		"metadata":   map[string]any{"name": "kube-dns", "labels": labels},
		"spec": map[string]any{
			"clusterIP": dnsIP,
			"selector":  labels,
			"ports":     []any{port("dns", "UDP", 53), port("dns-tcp", "TCP", 53), port("metrics", "TCP", 9153)},
		},
	})
	if err != nil {
		return err
	}
	client := p.httpClient()
	defer client.CloseIdleConnections()
	return p.request(client, http.MethodPost, "/api/v1/namespaces/kube-system/services", body)
}

// httpClient trusts this plane's authority. A frozen component must not hold it for ever.
func (p *plane) httpClient() *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(p.credentials.ca.parsed)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	return &http.Client{Timeout: 5 * time.Second, Transport: transport}
}

// request calls the API server as the admin.
func (p *plane) request(client *http.Client, method, path string, body []byte) error {
	return expect(client, method, p.url()+path, p.credentials.adminToken, body)
}

// statusError is a reply that is not a success.
type statusError struct {
	code int
	text string
}

func (e statusError) Error() string { return fmt.Sprintf("%d %s", e.code, e.text) }

// expect makes one request; any reply but 2xx is an error.
func expect(client *http.Client, method, url, token string, body []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return err
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return statusError{res.StatusCode, fmt.Sprintf("from %s %s: %s", method, url, text)}
	}
	return nil
}

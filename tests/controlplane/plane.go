package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	etcd              = "etcd"
	apiserver         = "kube-apiserver"
	controllerManager = "kube-controller-manager"

	serviceRange = "10.96.0.0/16"
	kubernetesIP = "10.96.0.1"  // the first of the range, by the API server's own rule
	dnsIP        = "10.96.0.10" // by convention

	// advertised stands in the endpoints of the Service kubernetes, where a loopback address is not allowed.
	// It is an address for documentation (RFC 5737): nothing in this cluster dials it.
	advertised = "192.0.2.1"

	attempts    = 5                // starts with new ports, when one was taken in between
	upTimeout   = 60 * time.Second // for each component to work after its start
	failureTail = 20               // lines of the log in the error about a component that died
)

// order is the order in which the components start.
var order = []string{etcd, apiserver, controllerManager}

// options are the command line.
type options struct {
	assets, dir  string
	keep, detach bool
}

// plane is one control plane.
type plane struct {
	dir         string
	keep        bool
	began       time.Time
	credentials credentials
	ports       ports
	processes   map[string]*process
	remove      func() // ends everything and removes the directory, once
}

// newPlane makes the directory and what does not depend on ports. It starts nothing.
func newPlane(opts options) (*plane, error) {
	began := time.Now()
	for _, name := range order {
		if _, err := os.Stat(filepath.Join(opts.assets, name)); err != nil {
			return nil, fmt.Errorf("--assets %s holds no %s", opts.assets, name)
		}
	}
	dir, err := makeDir(opts.dir)
	if err != nil {
		return nil, err
	}
	p := &plane{dir: dir, keep: opts.keep, began: began, processes: map[string]*process{}}
	p.remove = sync.OnceFunc(p.clean)
	for _, name := range order {
		p.processes[name] = &process{name: name, path: filepath.Join(opts.assets, name), log: p.file(name + ".log")}
	}
	if err := p.writeCredentials(); err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

// makeDir makes `dir`, or a temporary directory when it is empty, for this user's eyes only.
func makeDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "controlplane-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("--dir %s is not empty", dir)
	}
	return dir, os.Chmod(dir, 0o700)
}

// url is where the API server serves.
func (p *plane) url() string { return fmt.Sprintf("https://127.0.0.1:%d", p.ports.apiserver) }

// up starts everything and waits until it works.
func (p *plane) up() error {
	var err error
	for range attempts {
		if p.ports, err = pickPorts(); err != nil {
			return err
		}
		if err = p.startAll(); !errors.Is(err, errPortTaken) {
			return err
		}
		p.killAll()
	}
	return err
}

func (p *plane) startAll() error {
	if err := p.writeKubeconfigs(); err != nil {
		return err
	}
	for _, name := range order {
		process := p.processes[name]
		if err := process.start(p.args(name)); err != nil {
			return err
		}
		if err := p.awaitUp(process); err != nil {
			return err
		}
	}
	return p.createDNS()
}

// restart starts a component that has ended again, as it was, and waits until it works.
func (p *plane) restart(process *process) error {
	if process.name == controllerManager && process.pid() == 0 {
		// It has worked before, so what shows its work must go first.
		if err := p.removeRootCA(); err != nil {
			return err
		}
	}
	if err := process.start(p.args(process.name)); err != nil {
		return err
	}
	return p.awaitUp(process)
}

// pids are the process ids of the components that run.
func (p *plane) pids() map[string]int {
	pids := map[string]int{}
	for name, process := range p.processes {
		if pid := process.pid(); pid != 0 {
			pids[name] = pid
		}
	}
	return pids
}

// killAll ends the components at once, frozen ones too.
func (p *plane) killAll() {
	var all sync.WaitGroup
	for _, process := range p.processes {
		all.Go(func() { _ = process.kill() }) // the only error is that it is not running
	}
	all.Wait()
}

// clean ends everything and removes the directory.
func (p *plane) clean() {
	for _, process := range p.processes {
		process.forbidStart()
	}
	if p.keep {
		// What is kept should be whole.
		for _, name := range slices.Backward(order) {
			_ = p.processes[name].stop()
		}
		return
	}
	p.killAll()
	if err := os.RemoveAll(p.dir); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
	}
}

// description is the one line that says that the plane works, and where everything is.
type description struct {
	OK              bool              `json:"ok"`
	Pid             int               `json:"pid"` // the launcher's own
	Dir             string            `json:"dir"`
	URL             string            `json:"url"`
	AdminToken      string            `json:"adminToken"`
	AdminKubeconfig string            `json:"adminKubeconfig"`
	CAFile          string            `json:"caFile"`
	AuditLog        string            `json:"auditLog"`
	Logs            map[string]string `json:"logs"`
	Pids            map[string]int    `json:"pids"`
	StartMillis     int64             `json:"startMillis"` // from the launcher's start until everything worked
}

func (p *plane) description() description {
	logs := map[string]string{}
	for name, process := range p.processes {
		logs[name] = process.log
	}
	return description{
		OK:              true,
		Pid:             os.Getpid(),
		Dir:             p.dir,
		URL:             p.url(),
		AdminToken:      p.credentials.adminToken,
		AdminKubeconfig: p.file("admin.kubeconfig"),
		CAFile:          p.file("ca.crt"),
		AuditLog:        p.file("audit.log"),
		Logs:            logs,
		Pids:            p.pids(),
		StartMillis:     time.Since(p.began).Milliseconds(),
	}
}

// args are the flags of a component.
func (p *plane) args(name string) []string {
	switch name {
	case etcd:
		return p.etcdArgs()
	case apiserver:
		return p.apiserverArgs()
	default:
		return p.controllerManagerArgs()
	}
}

// portTaken says whether a component that died says that its port was taken.
func portTaken(log string) bool { return strings.Contains(log, "address already in use") }

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is how long a component may take to end after SIGTERM before it is killed.
const stopTimeout = 30 * time.Second

// process is one component, which may be running or not. Its methods may be called from several goroutines.
type process struct {
	name string // etcd, kube-apiserver or kube-controller-manager
	path string // its executable
	log  string // its log file, which every start appends to

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed once cmd has ended and been reaped
	over   bool          // the plane is being removed: nothing may start any more
}

// spawn carries every start to one goroutine on a thread of its own, because the parent-death signal is sent
// when the *thread* that forked ends, and Go ends idle threads as it likes.
var spawn = func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
}()

// start runs the component with `args`, and returns without waiting until it works.
func (p *process) start(args []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return fmt.Errorf("%s is not started: the control plane is being removed", p.name)
	}
	if p.running() {
		return fmt.Errorf("%s is already running", p.name)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child holds its own copy
	cmd := exec.Command(p.path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// SIGKILL also ends a process that is stopped, which SIGTERM would not.
		Pdeathsig: syscall.SIGKILL,
		// A Ctrl-C at the terminal is for the launcher, which ends the components in order.
		Setpgid: true,
	}
	started := make(chan error)
	spawn <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("%s could not be started: %w", p.name, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}()
	p.cmd, p.exited = cmd, exited
	return nil
}

// running says whether the process exists. The caller holds the lock.
func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// pid is the process id, or 0 when the component is not running.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

// signal sends `sig` to the running component, and answers with what tells its end.
func (p *process) signal(sig syscall.Signal) (<-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return nil, fmt.Errorf("%s is not running", p.name)
	}
	return p.exited, p.cmd.Process.Signal(sig)
}

// stop asks the component to end and waits for it; one that does not end in time is killed, which is an error.
func (p *process) stop() error {
	// A frozen process would take the signal only after its SIGCONT.
	if _, err := p.signal(syscall.SIGCONT); err != nil {
		return err
	}
	exited, err := p.signal(syscall.SIGTERM)
	if err != nil {
		return err
	}
	select {
	case <-exited:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("%s did not end within %v of SIGTERM and was killed", p.name, stopTimeout), p.kill())
	}
}

// kill ends the component at once and waits until it is gone. It works on a frozen one too.
func (p *process) kill() error {
	exited, err := p.signal(syscall.SIGKILL)
	if err != nil {
		return err
	}
	<-exited
	return nil
}

// forbidStart makes every later start fail.
func (p *process) forbidStart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
}

// freeze stops the component's threads, keeping its connections open, as a hang would.
func (p *process) freeze() error {
	_, err := p.signal(syscall.SIGSTOP)
	return err
}

// thaw lets a frozen component go on.
func (p *process) thaw() error {
	_, err := p.signal(syscall.SIGCONT)
	return err
}

// tail is the end of the component's log: at most `lines` lines.
func (p *process) tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

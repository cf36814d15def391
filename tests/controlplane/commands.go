package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// commands are the lines that arrive on stdin, read ahead so that its end is noticed at once, also while the
// plane starts or a command is being obeyed.
type commands struct {
	lines chan string
	ended chan struct{} // never closed when detached
}

// newCommands reads `from` until it ends.
func newCommands(from io.Reader, detached bool) *commands {
	c := &commands{lines: make(chan string, 64), ended: make(chan struct{})}
	go func() {
		scanner := bufio.NewScanner(from)
		for scanner.Scan() {
			if line := strings.TrimSpace(scanner.Text()); line != "" {
				c.lines <- line
			}
		}
		if !detached {
			close(c.ended)
		}
	}()
	return c
}

// obey carries out one command other than quit.
func (p *plane) obey(command string) answer {
	words := strings.Fields(command)
	if len(words) == 1 && words[0] == "pids" {
		return answer{OK: true, Pids: p.pids()}
	}
	if err := p.act(words); err != nil {
		return answer{Error: err.Error()}
	}
	return answer{OK: true, Pids: p.pids()}
}

// act carries out a command about one component.
func (p *plane) act(words []string) error {
	if len(words) != 2 {
		return fmt.Errorf("unknown command %q", strings.Join(words, " "))
	}
	process, known := p.processes[words[1]]
	if !known {
		return fmt.Errorf("unknown component %q: it is one of %s", words[1], strings.Join(order, ", "))
	}
	switch words[0] {
	case "stop":
		return process.stop()
	case "kill":
		return process.kill()
	case "freeze":
		return process.freeze()
	case "continue":
		return process.thaw()
	case "start":
		return p.restart(process)
	default:
		return fmt.Errorf("unknown command %q", words[0])
	}
}

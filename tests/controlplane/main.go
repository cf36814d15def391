// Controlplane runs a Kubernetes control plane of its own on loopback, for tests, demos and benchmarks:
// etcd, kube-apiserver and kube-controller-manager as three processes that can be stopped, frozen and
// killed one by one, and that never outlive the launcher.
//
// It needs nothing but the standard library, so that it builds in a second.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: controlplane up --assets DIR [--dir DIR] [--keep] [--detach]

Starts a control plane with the executables etcd, kube-apiserver and kube-controller-manager in --assets.
Once it works, prints one JSON line that says where everything is, then obeys one command per line on stdin
and answers each with one JSON line:

  stop C       SIGTERM, and wait until it ended     kill C      SIGKILL, and wait until it ended
  freeze C     SIGSTOP                              continue C  SIGCONT
  start C      start again on the same port and data, and wait until it works
  pids         the process ids of what runs         quit        end everything

where C is etcd, kube-apiserver or kube-controller-manager. The end of stdin, SIGINT and SIGTERM end
everything as quit does, and the directory is removed.
`

// answer is one line on stdout, for a command or for a failed start.
type answer struct {
	OK    bool           `json:"ok"`
	Error string         `json:"error,omitempty"`
	Pids  map[string]int `json:"pids,omitempty"`
}

func main() {
	opts, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n%s", err, usage)
		os.Exit(2)
	}
	// The reader of stdout may be gone before we are; a line that nobody reads must not cost the clean-up.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	os.Exit(run(opts, newCommands(os.Stdin, opts.detach), signals))
}

// parse reads the command line.
func parse(args []string) (options, error) {
	var opts options
	flags := flag.NewFlagSet("controlplane", flag.ContinueOnError)
	flags.SetOutput(os.Stderr)
	flags.Usage = func() {}
	flags.StringVar(&opts.assets, "assets", "", "the folder of the three executables")
	flags.StringVar(&opts.dir, "dir", "", "the directory to use, which must be absent or empty (default: a new temporary one)")
	flags.BoolVar(&opts.keep, "keep", false, "leave the directory behind")
	flags.BoolVar(&opts.detach, "detach", false, "stay after the end of stdin, until SIGTERM")
	if len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "help") {
		return opts, flag.ErrHelp
	}
	if len(args) == 0 || args[0] != "up" {
		return opts, errors.New("the one command is up")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return opts, err
	}
	if flags.NArg() > 0 {
		return opts, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if opts.assets == "" {
		return opts, errors.New("--assets is required")
	}
	return opts, nil
}

// run brings the plane up, obeys until told to end, cleans up, and answers with the exit status.
func run(opts options, commands *commands, signals <-chan os.Signal) int {
	type started struct {
		plane *plane
		err   error
	}
	plane, err := newPlane(opts)
	if err != nil {
		return fail(err)
	}
	defer plane.remove()
	up := make(chan started, 1)
	go func() { up <- started{plane, plane.up()} }()
	select {
	case result := <-up:
		if result.err != nil {
			return fail(result.err)
		}
	case sig := <-signals:
		return fail(fmt.Errorf("%v before the control plane was up", sig))
	case <-commands.ended:
		return fail(errors.New("stdin ended before the control plane was up"))
	}
	say(plane.description())
	answers := make(chan answer, 1)
	lines := commands.lines
	for {
		select {
		case <-signals:
			return 0
		case <-commands.ended:
			return 0
		case command := <-lines:
			if command == "quit" {
				// Answered only after the clean-up, so that the caller knows that nothing is left.
				plane.remove()
				say(answer{OK: true})
				return 0
			}
			// One command at a time; but a slow one must not hold up the end.
			lines = nil
			go func() { answers <- plane.obey(command) }()
		case result := <-answers:
			say(result)
			lines = commands.lines
		}
	}
}

// fail says why on both ways out: stdout for the program that started us, stderr for people.
func fail(err error) int {
	say(answer{Error: err.Error()})
	fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
	return 1
}

// say prints one JSON line. A reader that has gone is no error.
func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		line = []byte(`{"ok":false,"error":"the answer could not be encoded"}`)
	}
	_, _ = os.Stdout.Write(append(line, '\n'))
}

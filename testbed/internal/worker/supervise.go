package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// supervised is the variable that holds the worker's command line, its words separated by newlines.
const supervised = "TESTBED_WORKER_SUPERVISED"

// supervise runs the worker, starts it anew 300 ms after each end, and never returns. SIGTERM ends both, SIGHUP restarts the
// worker in an orderly way, SIGUSR1 and SIGUSR2 are handed on.
func supervise() {
	argv := strings.Split(os.Getenv(supervised), "\n")
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, supervised+"=") {
			env = append(env, variable)
		}
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	for {
		cmd := exec.Command("./python3") // the working directory is the worker's; the kernel takes its short name from here
		cmd.Args, cmd.Env = argv, env
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait() // how it ended does not matter
			close(ended)
		}()
		for running := true; running; {
			select {
			case <-ended:
				running = false
			case s := <-signals:
				handOn(cmd.Process, s, ended)
			}
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func handOn(worker *os.Process, s os.Signal, ended <-chan struct{}) {
	switch s {
	case syscall.SIGTERM:
		_ = worker.Signal(syscall.SIGTERM) // it may have ended
		<-ended
		os.Exit(0)
	case syscall.SIGHUP:
		_ = worker.Signal(syscall.SIGTERM)
	default:
		_ = worker.Signal(s)
	}
}

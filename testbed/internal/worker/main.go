// Command worker stands for a worker process: it holds as many MiB of resident memory as TESTBED_WORKER_MIB says and waits
// until it is killed. Its arguments mean nothing: they are for the process list.
//
// With TESTBED_WORKER_AMQP it consumes from a queue as Zulip's workers do; see consumer. With TESTBED_WORKER_SUPERVISED it
// starts itself anew as that and looks after it as supervisor does; see supervise.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if os.Getenv(supervised) != "" {
		supervise()
	}
	mib, err := strconv.Atoi(os.Getenv("TESTBED_WORKER_MIB"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "set TESTBED_WORKER_MIB to a number of MiB")
		os.Exit(2)
	}
	if mib > 0 {
		hold(mib)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	grow := make(chan os.Signal, 1)
	signal.Notify(grow, syscall.SIGUSR2)
	go func() {
		<-grow
		for range 75 {
			hold(8)
			time.Sleep(200 * time.Millisecond)
		}
	}()
	if url := os.Getenv("TESTBED_WORKER_AMQP"); url != "" {
		c, err := newConsumer(url)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		go c.run()
	}
	<-ended
}

// hold takes resident memory for good. Not from Go's heap, where the collector would give back what nobody uses.
func hold(mib int) {
	_, err := syscall.Mmap(-1, 0, mib<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE)
	if err != nil {
		fmt.Fprintf(os.Stderr, "hold %d MiB: %v\n", mib, err)
		os.Exit(1)
	}
}

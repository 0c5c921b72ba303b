// Command worker stands for a worker process: it holds as many MiB of resident memory as TESTBED_WORKER_MIB says and waits
// until it is killed. Its arguments mean nothing: they are for the process list.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	mib, err := strconv.Atoi(os.Getenv("TESTBED_WORKER_MIB"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "set TESTBED_WORKER_MIB to a number of MiB")
		os.Exit(2)
	}
	if mib > 0 {
		// Not from Go's heap, where the collector would give back what nobody uses.
		_, err := syscall.Mmap(-1, 0, mib<<20, syscall.PROT_READ|syscall.PROT_WRITE,
			syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE)
		if err != nil {
			fmt.Fprintf(os.Stderr, "hold %d MiB: %v\n", mib, err)
			os.Exit(1)
		}
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
}

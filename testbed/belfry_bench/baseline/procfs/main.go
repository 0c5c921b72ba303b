// Procfs is the least program that reads the resident memory of all processes
// by the usual library.
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/procfs"
)

func main() {
	procs, err := procfs.AllProcs()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	total := 0
	for _, p := range procs {
		if _, err := p.CmdLine(); err != nil {
			continue
		}
		if stat, err := p.Stat(); err == nil {
			total += stat.ResidentMemory()
		}
	}
	fmt.Println("OK", total)
}

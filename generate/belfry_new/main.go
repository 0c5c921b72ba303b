// Belfry_new lays out the folder of a new check. "make new NAME=x" runs it.
package main

import (
	"fmt"
	"os"

	"github.com/belfry-monitoring/belfry/generate"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: belfry_new NAME")
		os.Exit(2)
	}
	folder, err := generate.New(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "belfry_new:", err)
		os.Exit(1)
	}
	fmt.Printf("laid out %s; now write it and add its Definition to plugins/catalog.go\n", folder)
}

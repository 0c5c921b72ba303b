// Belfry_aliases links the further names of the plugins to their binaries in
// the directory that is its argument. "make" runs it after building.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/belfry-monitoring/belfry/plugins"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: belfry_aliases DIRECTORY")
		os.Exit(2)
	}
	for _, d := range plugins.Catalog() {
		for _, alias := range d.Aliases {
			path := filepath.Join(os.Args[1], alias)
			os.Remove(path) // replaced, if it is there
			if err := os.Symlink(d.Plugin(), path); err != nil {
				fmt.Fprintln(os.Stderr, "belfry_aliases:", err)
				os.Exit(1)
			}
		}
	}
}

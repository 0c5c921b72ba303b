// Belfry_generate brings the generated files of the repository up to date. It
// is run from the module's root by "make generate".
package main

import (
	"fmt"
	"os"

	"github.com/belfry-monitoring/belfry/generate"
)

func main() {
	changed, err := generate.Write(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "belfry_generate:", err)
		os.Exit(1)
	}
	for _, name := range changed {
		fmt.Println("wrote", name)
	}
}

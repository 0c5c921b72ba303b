// Exec is the least program that runs a tool and decodes the JSON that it
// prints. Its arguments are the tool's command line.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

func main() {
	out, err := exec.Command(os.Args[1], os.Args[2:]...).Output()
	var answer any
	if err == nil {
		err = json.Unmarshal(out, &answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("OK")
}

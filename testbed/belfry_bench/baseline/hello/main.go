// Hello is the least that a Go program can do: the floor of every start.
package main

import "fmt"

func main() { fmt.Println("OK") }

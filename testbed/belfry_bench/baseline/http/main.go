// Http is the least program that asks the same questions of an HTTP server as
// a check does: the same requests on one connection, the answers decoded.
// Arguments: user and URLs; the password stands in BENCH_PASSWORD.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	client := &http.Client{Timeout: 10 * time.Second}
	for _, url := range os.Args[2:] {
		if err := ask(client, url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Println("OK")
}

// queue are the fields that a check of queues needs.
type queue struct {
	Name      string `json:"name"`
	Messages  *int   `json:"messages"`
	Ready     *int   `json:"messages_ready"`
	Unacked   *int   `json:"messages_unacknowledged"`
	Consumers *int   `json:"consumers"`
}

func ask(client *http.Client, url string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(os.Args[1], os.Getenv("BENCH_PASSWORD"))
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	var page struct {
		Items []queue `json:"items"`
	}
	return json.NewDecoder(resp.Body).Decode(&page)
}

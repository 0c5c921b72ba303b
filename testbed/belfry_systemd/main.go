// Belfry_systemd proves the units on a real systemd: it boots the machine's
// own as process 1 of namespaces of its own, on a copy of the root that
// vanishes with it, installs Belfry there and goes through what docs/systemd.md
// promises. The machine itself is not changed. "make systemd" runs it, as root.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "belfry_systemd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	if os.Getuid() != 0 {
		return errors.New("only root may make namespaces and mounts")
	}
	g, err := boot(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.end()) }()
	failed := 0
	for _, s := range steps() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := g.step(ctx, s); err != nil {
			failed++
			fmt.Printf("FAILED  %s\n        %v\n", s.name, err)
			continue
		}
		fmt.Printf("ok      %s\n", s.name)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d steps failed", failed, len(steps()))
	}
	return nil
}

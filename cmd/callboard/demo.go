package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/callboard-rpc/callboard/cmd/callboard/demo"
)

// demoCommand is "callboard demo".
type demoCommand struct {
	Duration    time.Duration `default:"6s" help:"How long the load runs; the connection is cut in the middle of it."`
	Concurrency int           `default:"64" help:"Callers that make unary RPCs, one after the other each."`
	Streams     int           `default:"8" help:"Bidi streams that send messages to and fro."`
	Deadline    time.Duration `default:"5s" help:"Deadline of each unary RPC, its retries included."`
	All         bool          `help:"Print every stream's actor at the end instead of the first few of each connection."`
}

// The least that shows anything.
const leastDuration = 500 * time.Millisecond

// Validate implements kong's validation of a command.
func (c *demoCommand) Validate() error {
	switch {
	case c.Duration < leastDuration:
		return errors.New("--duration must be 500ms or more")
	case c.Concurrency < 1:
		return errors.New("--concurrency must be 1 or more")
	case c.Streams < 0:
		return errors.New("--streams must not be negative")
	case c.Deadline <= 0:
		return errors.New("--deadline must be positive")
	}
	return nil
}

// Run implements the command.
func (c *demoCommand) Run(ctx context.Context) error {
	return demo.Run(ctx, os.Stdout, demo.Config{
		Duration: c.Duration, Concurrency: c.Concurrency, Streams: c.Streams,
		Deadline: c.Deadline, WholeTree: c.All,
	})
}

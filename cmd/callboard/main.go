// Command callboard shows callboard at work.
//
//	go run ./cmd/callboard demo
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands are what the program can do: one field and one file per command.
type commands struct {
	Demo demoCommand `cmd:"" help:"Run a server and a client in this process, cut their connection, watch it recover."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var cli commands
	k := kong.Parse(&cli,
		kong.Name("callboard"),
		kong.Description("gRPC over actors."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	err := k.Run()
	stop()
	k.FatalIfErrorf(err)
}

package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/connectivity"
)

const (
	fleetBackends = 100
	fleetChannels = 10
	fleetTime     = 20 * time.Second // for one measurement
)

// measureFleet connects fleetChannels channels to each of w.n servers by
// round_robin. The servers are bare ones, the same for every stack: they are in
// this process, and what they and a bare client hold for as many connections is
// measured first and taken off, so that what is left is the channels'.
func measureFleet(s settings, w workload, client Stack) (figures, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fleetTime)
	defer cancel()
	b, err := startBareServers(w.n)
	if err != nil {
		return figures{}, err
	}
	defer b.stop()
	// A first channel pays for what all share.
	first, err := client.NewClient(route{addrs: b.addrs[:1]}, nil)
	if err != nil {
		return figures{}, err
	}
	defer first.Close() //nolint:errcheck // nothing is in flight
	if err := hearFrom(ctx, first, 1); err != nil {
		return figures{}, err
	}
	bare, err := bareFleet(ctx, s, b)
	if err != nil {
		return figures{}, err
	}
	before := takeFootprint(s.settle)
	f, open, err := connectFleet(ctx, b, client)
	defer open.close()
	if err != nil {
		return figures{}, err
	}
	each := takeFootprint(s.settle).since(before, w.n*fleetChannels)
	f.Bytes, f.Goroutines = each.bytes-bare.bytes, each.goroutines-bare.goroutines
	return f, nil
}

// bareFleet is what one connection between a bare client and a bare server holds.
func bareFleet(ctx context.Context, s settings, b *bareServers) (footprint, error) {
	var open held
	defer func() { open.close() }()
	before, others := takeFootprint(s.settle), int(b.settled.Load())
	for range fleetChannels {
		for _, addr := range b.addrs {
			c, err := bareConn(addr)
			if err != nil {
				return footprint{}, err
			}
			open = append(open, c)
		}
	}
	if err := b.await(ctx, others+len(open)); err != nil {
		return footprint{}, err
	}
	each := takeFootprint(s.settle).since(before, len(open))
	open.close()
	open = nil
	return each, b.await(ctx, others)
}

// connectFleet opens the channels at once and says how long it took. When it is
// over every connection has carried one RPC.
func connectFleet(ctx context.Context, b *bareServers, client Stack) (f figures, open held, err error) {
	var ccs []Client
	others := int(b.settled.Load())
	began := time.Now()
	for range fleetChannels {
		cc, err := client.NewClient(route{addrs: b.addrs, policy: roundRobinName}, nil)
		if err != nil {
			return f, open, err
		}
		ccs, open = append(ccs, cc), append(open, cc)
		cc.Connect()
	}
	for _, cc := range ccs {
		if err := awaitReady(ctx, cc); err != nil {
			return f, open, err
		}
	}
	f.Ready = milliseconds(time.Since(began))
	if err := b.await(ctx, others+fleetChannels*len(b.addrs)); err != nil {
		return f, open, err
	}
	f.Up = milliseconds(time.Since(began))
	for _, cc := range ccs {
		if err := hearFrom(ctx, cc, len(b.addrs)); err != nil {
			return f, open, err
		}
	}
	return f, open, nil
}

func awaitReady(ctx context.Context, cc Client) error {
	for {
		st := cc.GetState()
		if st == connectivity.Ready {
			return nil
		}
		if !cc.WaitForStateChange(ctx, st) {
			return fmt.Errorf("a channel is %v: %w", st, ctx.Err())
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

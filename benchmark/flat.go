package main

import (
	"context"
	"io"
	"slices"
	"time"
)

// setUpTime is how long it may take until streams and connections are there.
const setUpTime = 2 * time.Minute

// held is what stays open while a load runs, in the order of its opening.
type held []io.Closer

// close closes the last first: streams before their channel.
func (h held) close() {
	for _, c := range slices.Backward(h) {
		_ = c.Close() // nothing is in flight
	}
}

// setUp opens the channels that w's callers use, and what is open beside them.
// What it returns is to be closed in any case. Each channel has an answer from
// each of its servers, so that none is connected to during the measurement.
func setUp(w workload, p *pairing) (ccs []Client, open held, err error) {
	conns := 1
	if w.kind == overConns {
		conns = w.n
	}
	ctx, cancel := context.WithTimeout(context.Background(), setUpTime)
	defer cancel()
	for range conns {
		cc, err := usedConn(ctx, p)
		if err != nil {
			return nil, open, err
		}
		ccs, open = append(ccs, cc), append(open, cc)
	}
	if w.kind != amongStreams {
		return ccs, open, nil
	}
	// Streams outlive the function: their context ends with the measurement.
	live, end := context.WithCancel(context.Background())
	open = append(open, closer(end))
	for range w.n {
		st, err := usedStream(live, ccs[0])
		if err != nil {
			return nil, open, err
		}
		open = append(open, st)
	}
	return ccs, open, nil
}

// closer makes a function an io.Closer.
type closer func()

func (c closer) Close() error {
	c()
	return nil
}

// streams is how many streams of one connection have to be allowed; 0: what is
// allowed anyway.
func (w workload) streams() int {
	if w.kind == amongStreams {
		return w.n + flatCallers
	}
	return 0
}

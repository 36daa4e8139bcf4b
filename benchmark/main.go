// Command benchmark compares two gRPC stacks in alternating pairs of one run.
//
//	go run -tags grpcnotrace ./benchmark
//	go run -tags grpcnotrace ./benchmark -workloads u64,p64 -pairs 9 -json
//	go run -tags grpcnotrace ./benchmark -stacks callboard -workloads u64 -cpuprofile cpu.out
//
// Client and server live in this process and talk over loopback TCP, so that
// allocations and CPU time count both sides. A pair is one measurement of each
// stack, one straight after the other; which goes first alternates. The figure
// to trust is the median of the pairs' ratios: a machine that slows down for a
// minute slows both halves of a pair.
//
// # Workloads
//
//	u<n>         n callers, unary, 10 bytes each way, a 10 s deadline on each call
//	p<n>         n bidi streams, 10 bytes ping-pong
//	m<n>         n bidi streams, 1 MB ping-pong
//	s<n>         u64 while n idle bidi streams are open on the connection
//	c<n>         64 callers as u64 has them, over n channels in turn
//	rr<n>-<w>    the same on channels with round_robin over n servers
//	tls-<w>      the same over TLS 1.3
//	server-<w>   the first stack serves, the second one calls
//	client-<w>   the first stack calls, the second one serves
//	conns        memory and goroutines of an idle connection, both sides
//	serverconns  the same of the server alone, under a bare HTTP/2 client
//	streams      memory and goroutines of an idle bidi stream, both sides
//	fleet        10 channels with round_robin, each to the same 100 servers
//
// All calls of a workload share one connection, unless it is about connections.
// Channels resolve by passthrough and balance by pick_first, those of rr<n>-<w>
// and fleet by grpc-go's manual resolver and a service config. Numbers may
// end in k: s10k. What s<n> and c<n> ask for is that the figures stay the same as
// n grows; the large ones are not among the default workloads. The tag
// grpcnotrace takes grpc-go's tracing dependency out of both stacks.
//
// What fleet shows is the client's alone: how long it takes until every channel
// is READY and until all of the 1,000 connections are up, from the first
// NewClient on, and what a connection then holds, each having carried one RPC.
// The servers are bare HTTP/2 listeners, the same for every stack, because a
// hundred real ones would be most of the figures; what a connection holds at
// their end, and in a bare client, is measured and taken off. A measurement
// takes three seconds and ends after twenty at most; it is not among the default
// workloads.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"time"
)

// settings are the command line.
type settings struct {
	workloads  string
	stacks     string
	pairs      int
	duration   time.Duration
	warmup     time.Duration
	settle     time.Duration // before what is held is counted
	json       bool
	cpuProfile string
	memProfile string
}

func main() {
	s := settings{settle: 500 * time.Millisecond}
	flag.StringVar(&s.workloads, "workloads", defaultWorkloads, "comma-separated `names`")
	flag.StringVar(&s.stacks, "stacks", defaultStacks(), "the stack measured and the one it is compared with, or one alone")
	flag.IntVar(&s.pairs, "pairs", 5, "measurements of each stack per workload")
	flag.DurationVar(&s.duration, "duration", time.Second, "of one measurement")
	flag.DurationVar(&s.warmup, "warmup", 300*time.Millisecond, "before each measurement")
	flag.BoolVar(&s.json, "json", false, "print JSON instead of a table")
	flag.StringVar(&s.cpuProfile, "cpuprofile", "", "write a CPU profile of the whole run to `file`")
	flag.StringVar(&s.memProfile, "memprofile", "", "write a profile of all allocations to `file`")
	flag.Parse()
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
}

func run(s settings) error {
	if s.pairs < 1 || s.duration <= 0 || s.warmup < 0 {
		return fmt.Errorf("-pairs and -duration must be positive")
	}
	subject, baseline, err := chooseStacks(s.stacks)
	if err != nil {
		return err
	}
	works, err := parseWorkloads(s.workloads)
	if err != nil {
		return err
	}
	if s.cpuProfile != "" {
		f, err := os.Create(s.cpuProfile)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // a profile that is cut short shows when it is read
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	var failed error
	rep := newReport(s, subject, baseline)
	for _, w := range works {
		row, err := compare(s, w, subject, baseline)
		if err != nil {
			// The other workloads are still worth their time; the exit code tells.
			row.Error = err.Error()
			failed = errors.Join(failed, fmt.Errorf("%s: %w", w.name, err))
		}
		rep.Rows = append(rep.Rows, row)
		if !s.json {
			rep.printRow(os.Stdout, row)
		}
	}
	if s.memProfile != "" {
		if err := writeAllocs(s.memProfile); err != nil {
			return err
		}
	}
	if s.json {
		if err := rep.writeJSON(os.Stdout); err != nil {
			return err
		}
	}
	return failed
}

func writeAllocs(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
		return err
	}
	return f.Close()
}

// chooseStacks reads "a,b" or "a"; baseline is nil for the latter.
func chooseStacks(names string) (subject, baseline Stack, err error) {
	var chosen []Stack
	for name := range strings.SplitSeq(names, ",") {
		st, ok := known[name]
		if !ok {
			return nil, nil, fmt.Errorf("unknown stack %q", name)
		}
		chosen = append(chosen, st)
	}
	switch len(chosen) {
	case 1:
		return chosen[0], nil, nil
	case 2:
		return chosen[0], chosen[1], nil
	default:
		return nil, nil, fmt.Errorf("-stacks takes one or two names, got %q", names)
	}
}

package main

import (
	"fmt"
	"strconv"
	"strings"
)

const defaultWorkloads = "u1,u8,u64,u512,p1,p64,m8,rr1-u64,rr3-u64,tls-u64,server-u64,client-u64,conns,serverconns,streams"

// workload is one line of the table.
type workload struct {
	name     string
	kind     kind
	n        int // callers, streams, connections or backends, by kind
	tls      bool
	mix      mix
	balanced int // servers of a channel with round_robin; 0: one, with pick_first
}

type kind uint8

const (
	unary kind = iota
	pingPong
	large
	amongStreams // unary, n other streams being open
	overConns    // unary, over n channels
	idleConns
	idleServerConns
	idleStreams
	manyBackends // channels with a connection to each of n servers
)

// mix says which ends the subject plays; the baseline plays the others.
type mix uint8

const (
	both mix = iota
	serverOnly
	clientOnly
)

const (
	idleConnCount = 200
	// idleStreamCount stays below the MAX_CONCURRENT_STREAMS any stack announces.
	idleStreamCount = 500

	// flatCallers do the work whose cost is to be the same beside any number of
	// streams and over any number of connections.
	flatCallers = 64

	mostOf         = 1 << 20
	mostBalanced   = 1000 // servers in this process
	roundRobinName = "round_robin"
)

// standing are the workloads without a number.
var standing = map[string]workload{
	"conns":       {kind: idleConns, n: idleConnCount},
	"serverconns": {kind: idleServerConns, n: idleConnCount},
	"streams":     {kind: idleStreams, n: idleStreamCount},
	"fleet":       {kind: manyBackends, n: fleetBackends},
}

// kinds are the workloads with a number, by the letter before it.
var kinds = map[byte]kind{'u': unary, 'p': pingPong, 'm': large, 's': amongStreams, 'c': overConns}

func parseWorkloads(names string) ([]workload, error) {
	var ws []workload
	for name := range strings.SplitSeq(names, ",") {
		w, err := parseWorkload(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		ws = append(ws, w)
	}
	return ws, nil
}

func parseWorkload(name string) (workload, error) {
	w := workload{name: name}
	rest := name
	for {
		prefix, r, ok := strings.Cut(rest, "-")
		if !ok {
			break
		}
		if err := w.prefixed(prefix); err != nil {
			return w, err
		}
		rest = r
	}
	if st, ok := standing[rest]; ok {
		w.kind, w.n = st.kind, st.n
		return w, w.possible()
	}
	if rest == "" {
		return w, fmt.Errorf("unknown workload %q", name)
	}
	k, ok := kinds[rest[0]]
	if !ok {
		return w, fmt.Errorf("unknown workload %q", name)
	}
	n, err := number(rest[1:], mostOf)
	if err != nil {
		return w, fmt.Errorf("workload %q: what follows %q: %w", name, rest[0], err)
	}
	w.kind, w.n = k, n
	return w, nil
}

// prefixed reads one of the words that stand before a workload and a hyphen.
func (w *workload) prefixed(word string) error {
	switch word {
	case "tls":
		w.tls = true
	case "server":
		w.mix = serverOnly
	case "client":
		w.mix = clientOnly
	default:
		digits, ok := strings.CutPrefix(word, "rr")
		if !ok {
			return fmt.Errorf("unknown workload %q", w.name)
		}
		n, err := number(digits, mostBalanced)
		if err != nil {
			return fmt.Errorf("workload %q: what follows \"rr\": %w", w.name, err)
		}
		w.balanced = n
	}
	return nil
}

// possible says what is wrong with the prefixes of a workload without a number.
func (w workload) possible() error {
	switch {
	case w.balanced > 0:
		return fmt.Errorf("workload %q: what it counts has one server, or servers of its own", w.name)
	case w.tls && (w.kind == idleServerConns || w.kind == manyBackends):
		return fmt.Errorf("workload %q: the bare end speaks plaintext", w.name)
	case w.mix != both && w.kind == manyBackends:
		return fmt.Errorf("workload %q: only clients are measured", w.name)
	default:
		return nil
	}
}

// number reads a positive count, which may end in k for thousands.
func number(digits string, most int) (int, error) {
	unit := 1
	if d, ok := strings.CutSuffix(digits, "k"); ok {
		digits, unit = d, 1000
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > most/unit {
		return 0, fmt.Errorf("%q is not a number from 1 to %d", digits, most/unit)
	}
	return n * unit, nil
}

// callers is how many goroutines call at the same time.
func (w workload) callers() int {
	if w.kind == amongStreams || w.kind == overConns {
		return flatCallers
	}
	return w.n
}

// servers is how many a channel leads to.
func (w workload) servers() int { return max(w.balanced, 1) }

func (w workload) policy() string {
	if w.balanced > 0 {
		return roundRobinName
	}
	return ""
}

// idle says whether the workload measures what stays rather than what flows.
func (w workload) idle() bool { return w.kind >= idleConns }

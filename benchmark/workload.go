package main

import (
	"fmt"
	"strconv"
	"strings"
)

const defaultWorkloads = "u1,u8,u64,u512,p1,p64,m8,tls-u64,server-u64,client-u64,conns,serverconns,streams"

// workload is one line of the table.
type workload struct {
	name string
	kind kind
	n    int // callers, streams or connections
	tls  bool
	mix  mix
}

type kind uint8

const (
	unary kind = iota
	pingPong
	large
	idleConns
	idleServerConns
	idleStreams
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
)

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
		if r, ok := strings.CutPrefix(rest, "tls-"); ok {
			w.tls, rest = true, r
		} else if r, ok := strings.CutPrefix(rest, "server-"); ok {
			w.mix, rest = serverOnly, r
		} else if r, ok := strings.CutPrefix(rest, "client-"); ok {
			w.mix, rest = clientOnly, r
		} else {
			break
		}
	}
	switch rest {
	case "conns":
		w.kind, w.n = idleConns, idleConnCount
		return w, nil
	case "serverconns":
		if w.tls {
			return w, fmt.Errorf("workload %q: the bare client speaks plaintext", name)
		}
		w.kind, w.n = idleServerConns, idleConnCount
		return w, nil
	case "streams":
		w.kind, w.n = idleStreams, idleStreamCount
		return w, nil
	case "":
		return w, fmt.Errorf("unknown workload %q", name)
	}
	switch rest[0] {
	case 'u':
		w.kind = unary
	case 'p':
		w.kind = pingPong
	case 'm':
		w.kind = large
	default:
		return w, fmt.Errorf("unknown workload %q", name)
	}
	n, err := strconv.Atoi(rest[1:])
	if err != nil || n < 1 {
		return w, fmt.Errorf("workload %q: what follows %q must be a positive number", name, rest[0])
	}
	w.n = n
	return w, nil
}

// idle says whether the workload measures what stays rather than what flows.
func (w workload) idle() bool { return w.kind >= idleConns }

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseWorkload(t *testing.T) {
	for name, want := range map[string]workload{
		"u1":            {kind: unary, n: 1},
		"p64":           {kind: pingPong, n: 64},
		"m8":            {kind: large, n: 8},
		"tls-u64":       {kind: unary, n: 64, tls: true},
		"server-u64":    {kind: unary, n: 64, mix: serverOnly},
		"client-p8":     {kind: pingPong, n: 8, mix: clientOnly},
		"s100":          {kind: amongStreams, n: 100},
		"s10k":          {kind: amongStreams, n: 10_000},
		"c1k":           {kind: overConns, n: 1000},
		"rr1-u64":       {kind: unary, n: 64, balanced: 1},
		"rr1k-p8":       {kind: pingPong, n: 8, balanced: 1000},
		"tls-rr3-c2":    {kind: overConns, n: 2, balanced: 3, tls: true},
		"rr3-client-s1": {kind: amongStreams, n: 1, balanced: 3, mix: clientOnly},
		"fleet":         {kind: manyBackends, n: fleetBackends},
		"conns":         {kind: idleConns, n: idleConnCount},
		"serverconns":   {kind: idleServerConns, n: idleConnCount},
		"streams":       {kind: idleStreams, n: idleStreamCount},
	} {
		want.name = name
		got, err := parseWorkload(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(workload{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, name := range []string{
		"", "u", "u0", "u-1", "x9", "tls-", "ux", "sk", "u99999999k", "u9999999999999999999", "tls-serverconns",
		"rr-u1", "rr0-u1", "rr2k-u1", "rr3", "rr3-", "-u1", "xx-u1", "rr3-conns", "rr3-fleet", "tls-fleet", "client-fleet",
	} {
		if w, err := parseWorkload(name); err == nil {
			t.Errorf("%q parsed as %+v", name, w)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestRatiosSayWhoIsBetter(t *testing.T) {
	fast := figures{PerSecond: 200, CPU: 1, Allocs: 10, Bytes: 100, Goroutines: 2, Ready: 1, Up: 3}
	slow := figures{PerSecond: 100, CPU: 4, Allocs: 50, Bytes: 300, Goroutines: 3, Ready: 8, Up: 6}
	got := pairRatios([]figures{fast, fast}, []figures{slow, slow})
	want := &ratios{PerSecond: 2, PerSecondMin: 2, PerSecondMax: 2, CPU: 4, Allocs: 5, Bytes: 3, Goroutines: 1.5, Ready: 8, Up: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestEveryKindRuns runs each kind of workload for a moment on every known
// stack; it judges no figure but that there is one.
func TestEveryKindRuns(t *testing.T) {
	works, err := parseWorkloads("u2,p2,m1,s3,c3,tls-u2,server-u2,client-u2,tls-s2,client-c2,rr1-u2,rr3-u2,rr3-p2,tls-rr2-client-u2")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"conns", "serverconns", "streams", "fleet"} {
		w, err := parseWorkload(name)
		if err != nil {
			t.Fatal(err)
		}
		w.n = 3
		works = append(works, w)
	}
	s := settings{pairs: 1, duration: 20 * time.Millisecond, warmup: 5 * time.Millisecond, settle: 50 * time.Millisecond}
	subject, baseline, err := chooseStacks(defaultStacks())
	if err != nil {
		t.Fatal(err)
	}
	rep := newReport(s, subject, baseline)
	var table bytes.Buffer
	for _, w := range works {
		r, err := compare(s, w, subject, baseline)
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		if !w.idle() && (r.Subject.PerSecond == 0 || r.Baseline.PerSecond == 0) {
			t.Errorf("%s: no operations: %+v", w.name, r)
		}
		if w.kind == manyBackends && (r.Subject.Up < r.Subject.Ready || r.Subject.Ready <= 0 || r.Baseline.Up <= 0) {
			t.Errorf("%s: up before READY, or never: %+v", w.name, r)
		}
		rep.Rows = append(rep.Rows, r)
		rep.printRow(&table, r)
		if !strings.Contains(table.String(), w.name) {
			t.Errorf("%s is not in the table", w.name)
		}
	}
	t.Log("\n" + table.String())
	var js bytes.Buffer
	if err := rep.writeJSON(&js); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(js.Bytes(), &back); err != nil || len(back.Rows) != len(works) {
		t.Errorf("%d rows of %d came back (%v)", len(back.Rows), len(works), err)
	}
}

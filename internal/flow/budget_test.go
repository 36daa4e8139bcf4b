package flow

import (
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestBudgetChain(t *testing.T) {
	process := NewBudget(100, nil)
	a, b := NewBudget(80, process), NewBudget(80, process)
	steps := []struct {
		name     string
		do       func() bool
		ok       bool
		pu, au   int64
		bu, left int64
	}{
		{"within both", func() bool { return a.Charge(70) }, true, 70, 70, 0, 10},
		{"refused by the connection, nothing kept", func() bool { return a.Charge(11) }, false, 70, 70, 0, 10},
		{"refused by the process, nothing kept", func() bool { return b.Charge(31) }, false, 70, 70, 0, 10},
		{"to the process's last byte", func() bool { return b.Charge(30) }, true, 100, 70, 30, 0},
		{"forced above the limits", func() bool { a.Force(20); return true }, true, 120, 90, 30, 0},
		{"nothing more while above", func() bool { return a.Charge(1) }, false, 120, 90, 30, 0},
		{"nothing is always granted below", func() bool { a.Refund(20); return a.Charge(0) }, true, 100, 70, 30, 0},
		{"refunded", func() bool { a.Refund(70); return true }, true, 30, 0, 30, 70},
	}
	for _, s := range steps {
		if ok := s.do(); ok != s.ok || process.Used() != s.pu || a.Used() != s.au || b.Used() != s.bu || a.Left() != s.left {
			t.Fatalf("%s: %v, process %d, a %d, b %d, left %d", s.name, ok, process.Used(), a.Used(), b.Used(), a.Left())
		}
	}
	if a.Peak() != 90 || process.Peak() != 120 || a.Limit() != 80 {
		t.Errorf("peaks %d and %d, limit %d", a.Peak(), process.Peak(), a.Limit())
	}
	mustPanic(t, func() { a.Refund(1) })
}

func TestOnlyTheProcessRefusesWhoInsists(t *testing.T) {
	process := NewBudget(100, nil)
	share := NewBudget(60, process)
	a, b := NewBudget(50, share), NewBudget(50, share)
	steps := []struct {
		name          string
		do            func() bool
		ok            bool
		pu, su, au    int64
		tight, tight2 bool // of a, of b
	}{
		{"half of the connection's", func() bool { return a.Charge(25) }, true, 25, 25, 25, false, false},
		{"more than the connection has", func() bool { return a.Insist(30) }, true, 55, 55, 55, true, true},
		{"more than the share has", func() bool { return b.Insist(40) }, true, 95, 95, 55, true, true},
		{"more than the process has, nothing kept", func() bool { return b.Insist(6) }, false, 95, 95, 55, true, true},
		{"to its last byte", func() bool { return b.Insist(5) }, true, 100, 100, 55, true, true},
		{"given back", func() bool { a.Refund(55); b.Refund(45); return true }, true, 0, 0, 0, false, false},
	}
	for _, s := range steps {
		if ok := s.do(); ok != s.ok || process.Used() != s.pu || share.Used() != s.su || a.Used() != s.au || a.Tight() != s.tight || b.Tight() != s.tight2 {
			t.Fatalf("%s: %v, process %d, share %d, a %d, tight %v and %v", s.name, ok, process.Used(), share.Used(), a.Used(), a.Tight(), b.Tight())
		}
	}
	if process.Peak() != 100 || a.Peak() != 55 {
		t.Errorf("peaks %d and %d", process.Peak(), a.Peak())
	}
}

func TestBudgetPanicsOnNegativeAmounts(t *testing.T) {
	b := NewBudget(1, nil)
	mustPanic(t, func() { b.Charge(-1) })
	mustPanic(t, func() { b.Force(-1) })
	mustPanic(t, func() { b.Insist(-1) })
	mustPanic(t, func() { b.Refund(-1) })
}

// The parent's use is the sum of its children's, and Charge agrees exactly
// when both limits do.
func TestBudgetSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		process := NewBudget(rapid.Int64Range(0, 300).Draw(t, "limit"), nil)
		kids := []*Budget{NewBudget(100, process), NewBudget(200, process), NewBudget(1000, process)}
		held := make([]int64, len(kids))
		t.Repeat(map[string]func(*rapid.T){
			"charge": func(t *rapid.T) {
				i, n := rapid.IntRange(0, len(kids)-1).Draw(t, "who"), rapid.IntRange(0, 150).Draw(t, "n")
				want := int64(n) <= kids[i].Limit()-held[i] && int64(n) <= process.Limit()-process.Used()
				if got := kids[i].Charge(n); got != want {
					t.Fatalf("charge of %d: %v", n, got)
				} else if got {
					held[i] += int64(n)
				}
			},
			"force": func(t *rapid.T) {
				i, n := rapid.IntRange(0, len(kids)-1).Draw(t, "who"), rapid.IntRange(0, 150).Draw(t, "n")
				kids[i].Force(n)
				held[i] += int64(n)
			},
			"refund": func(t *rapid.T) {
				i := rapid.IntRange(0, len(kids)-1).Draw(t, "who")
				n := rapid.Int64Range(0, held[i]).Draw(t, "n")
				kids[i].Refund(int(n))
				held[i] -= n
			},
			"": func(t *rapid.T) {
				var sum int64
				for i, k := range kids {
					if k.Used() != held[i] {
						t.Fatalf("child %d uses %d, holds %d", i, k.Used(), held[i])
					}
					sum += held[i]
				}
				if process.Used() != sum {
					t.Fatalf("process uses %d, children %d", process.Used(), sum)
				}
			},
		})
	})
}

func TestBudgetIsNeverExceededConcurrently(t *testing.T) {
	process := NewBudget(64, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			b := NewBudget(32, process)
			for i := range 2000 {
				if n := 1 + i%30; b.Charge(n) {
					if used := b.Used(); used > b.Limit() {
						t.Errorf("%d of %d used", used, b.Limit())
					}
					b.Refund(n)
				}
			}
		})
	}
	wg.Wait()
	if process.Used() != 0 || process.Peak() > 64 {
		t.Errorf("%d left behind, peak %d", process.Used(), process.Peak())
	}
}

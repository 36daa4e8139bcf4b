package flow

import (
	"sync"
	"testing"
	"testing/synctest"
)

func TestQuotaLetsGoOnBelowItsLimit(t *testing.T) {
	q := NewQuota(100, nil)
	if !q.Drained() || q.Limit() != 100 {
		t.Fatal("not empty")
	}
	if !q.Wait(nil) {
		t.Fatal("waited with nothing queued")
	}
	q.Enqueued(99)
	if !q.Wait(nil) || q.Waiting() {
		t.Fatal("waited below the limit")
	}
	q.Written(99)
	if !q.Drained() || q.Queued() != 0 {
		t.Fatal("not drained")
	}
}

func TestQuotaTakesOneMessageOfAnySize(t *testing.T) {
	q := NewQuota(100, nil)
	q.Enqueued(1 << 20)
	if q.Queued() != 1<<20 {
		t.Fatal("not counted")
	}
}

func TestQuotaHoldsTheApplicationUntilBytesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQuota(100, nil)
		q.Enqueued(250)
		var went bool
		go func() { went = q.Wait(nil) }()
		for _, n := range []int{50, 100} { // 200, then exactly the limit
			synctest.Wait()
			if went || !q.Waiting() {
				t.Fatalf("went on with %d queued", q.Queued())
			}
			q.Written(n)
		}
		synctest.Wait()
		if went {
			t.Fatal("went on at the limit")
		}
		q.Written(1)
		synctest.Wait()
		if !went || q.Waiting() {
			t.Fatal("still waits below the limit")
		}
	})
}

func TestQuotaWaitEndsWithDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, done, went := NewQuota(1, nil), make(chan struct{}), true
		q.Enqueued(1)
		go func() { went = q.Wait(done) }()
		synctest.Wait()
		close(done)
		synctest.Wait()
		if went || q.Waiting() {
			t.Fatal("done did not end the wait")
		}
	})
}

func TestQuotaClearLetsTheApplicationLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, went := NewQuota(1, nil), false
		q.Enqueued(10)
		go func() { went = q.Wait(nil) }()
		synctest.Wait()
		q.Clear()
		synctest.Wait()
		if !went || !q.Drained() {
			t.Fatal("still waits for a lost connection")
		}
		// The signal nobody needed any more must not end the next wait.
		q.Clear()
		q.Enqueued(10)
		went = false
		go func() { went = q.Wait(nil) }()
		synctest.Wait()
		if went {
			t.Fatal("an old signal let it go on")
		}
		q.Written(10)
		synctest.Wait()
		if !went {
			t.Fatal("still waits")
		}
	})
}

// A wake-up is never lost: the application gets all its messages through while
// the writer drains as fast as it can.
func TestQuotaNeverLosesAWakeUp(t *testing.T) {
	q := NewQuota(3, nil)
	queue := make(chan int, 1024)
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range queue {
			q.Written(n)
		}
	})
	for i := range 50_000 {
		q.Wait(nil)
		n := 1 + i%5
		q.Enqueued(n)
		queue <- n
	}
	close(queue)
	wg.Wait()
	if !q.Drained() {
		t.Errorf("%d left", q.Queued())
	}
}

func TestQuotaAllocatesNothingAfterItsStart(t *testing.T) {
	q := NewQuota(10, nil)
	if n := testing.AllocsPerRun(100, func() {
		q.Enqueued(5)
		q.Wait(nil)
		q.Written(5)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestQuotaChargesWhatIsNotSmall(t *testing.T) {
	process := NewBudget(1<<20, nil)
	budget := NewBudget(1<<19, process)
	a, b := NewQuota(100, budget), NewQuota(100, budget)
	steps := []struct {
		name string
		do   func()
		used int64
	}{
		{"a small message", func() { a.Enqueued(grain - 1) }, 0},
		{"one octet more", func() { a.Enqueued(1) }, grain},
		{"another stream's", func() { b.Enqueued(10*grain + 7) }, 11 * grain},
		{"some of it leaves", func() { b.Written(3 * grain) }, 8 * grain},
		{"the small one leaves", func() { a.Written(1) }, 7 * grain},
		{"whatever it is, above the limit too", func() { a.Enqueued(1 << 21) }, 1<<21 + 7*grain},
		{"the connection is lost", func() { a.Clear() }, 7 * grain},
		{"what it had leaves late", func() { a.Written(1<<21 + grain - 1) }, 7 * grain},
		{"the rest", func() { b.Written(7*grain + 7) }, 0},
	}
	for _, s := range steps {
		s.do()
		if budget.Used() != s.used || process.Used() != s.used {
			t.Fatalf("%s: %d and %d charged, want %d", s.name, budget.Used(), process.Used(), s.used)
		}
	}
}

// Both sides count at the same time, and nothing is left or lost.
func TestQuotaChargesAreExact(t *testing.T) {
	budget := NewBudget(1<<20, nil)
	var wg sync.WaitGroup
	for range 8 {
		q := NewQuota(1<<16, budget)
		queue := make(chan int, 64)
		wg.Go(func() {
			for n := range queue {
				q.Written(n)
			}
		})
		wg.Go(func() {
			defer close(queue)
			for i := range 5000 {
				n := i * 37 % 20_000
				q.Enqueued(n)
				queue <- n
			}
		})
	}
	wg.Wait()
	if budget.Used() != 0 {
		t.Errorf("%d left", budget.Used())
	}
}

func TestQuotaShrinksWithItsBudget(t *testing.T) {
	const limit = 64 << 10
	for _, tt := range []struct {
		name   string
		used   int64
		queued int
		waits  bool
	}{
		{"half is left", 8 << 20, limit - 1, false},
		{"a quarter is left: half of the limit", 12 << 20, limit/2 - 1, false},
		{"a quarter is left, and as much is queued", 12 << 20, limit / 2, true},
		{"nothing is left, and nothing is queued", 16 << 20, 0, false},
		{"nothing is left, and something is queued", 16 << 20, 1, true},
		{"more is taken than there is", 1 << 30, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, shared := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					process := NewBudget(16<<20, nil)
					budget := NewBudget(16<<20, process)
					if shared { // by somebody else
						process.Shift(tt.used)
					} else {
						budget.Shift(tt.used)
					}
					q := NewQuota(limit, budget)
					q.Enqueued(tt.queued)
					budget.Shift(-grains(int64(tt.queued))) // of no interest here
					went := false
					go func() { went = q.Wait(nil) }()
					synctest.Wait()
					if went == tt.waits {
						t.Errorf("went on: %v", went)
					}
					q.Written(tt.queued) // its own octets, not others', wake it
					synctest.Wait()
					if !went {
						t.Error("still waits with nothing queued")
					}
				})
			}
		})
	}
}

func TestBudgetSaysWhoIsOver(t *testing.T) {
	process := NewBudget(100, nil)
	a, b := NewBudget(60, process), NewBudget(60, process)
	for _, s := range []struct {
		name   string
		shift  int64
		excess int64
		shared bool
	}{
		{"within both", 60, 0, false},
		{"more than the connection's", 10, 10, false},
		{"more than the process's", 50, 60, true},
		{"back", -120, 0, false},
	} {
		a.Shift(s.shift)
		if excess, shared := a.Over(); excess != s.excess || shared != s.shared {
			t.Errorf("%s: %d, %v", s.name, excess, shared)
		}
	}
	a.Shift(130)
	if excess, shared := b.Over(); excess != 30 || !shared {
		t.Errorf("of others: %d, %v", excess, shared)
	}
}

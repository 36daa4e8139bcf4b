package worker

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunsEverythingInOrderOnOneWorkerWhenItemsAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		var mu sync.Mutex
		p := New(0, func(i int) {
			mu.Lock()
			got = append(got, i)
			mu.Unlock()
		})
		for i := range 3 {
			p.Submit(i)
			synctest.Wait()
		}
		if len(got) != 3 || got[0] != 0 || got[2] != 2 {
			t.Errorf("ran %v", got)
		}
		if s := p.Stats(); s != (Stats{Workers: 1, Idle: 1}) {
			t.Errorf("%+v: one warm worker should have done it", s)
		}
		p.Close()
		synctest.Wait()
		if s := p.Stats(); s.Workers != 0 {
			t.Errorf("%d workers after Close", s.Workers)
		}
	})
}

func TestBlockedItemsStrandNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var ran atomic.Int32
		p := New(2, func(int) {
			ran.Add(1)
			<-gate
		})
		for i := range 100 {
			p.Submit(i)
		}
		synctest.Wait()
		if n := ran.Load(); n != 100 {
			t.Errorf("%d of 100 blocked items started", n)
		}
		close(gate)
		synctest.Wait()
		if s := p.Stats(); s.Workers != 2 || s.Idle != 2 {
			t.Errorf("%+v: two workers should be kept", s)
		}
		p.Close()
	})
}

func TestIdleWorkersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		p := New(0, func(int) { <-gate })
		for i := range 10 {
			p.Submit(i)
		}
		synctest.Wait()
		close(gate)
		synctest.Wait()
		if s := p.Stats(); s.Idle != 10 {
			t.Fatalf("%+v: all should be idle", s)
		}
		time.Sleep(linger / 2)
		p.Submit(0) // the warmest one stays warm
		time.Sleep(3 * linger)
		synctest.Wait()
		if s := p.Stats(); s.Workers != 0 {
			t.Errorf("%+v after a long pause", s)
		}
		p.Submit(0)
		synctest.Wait()
		if s := p.Stats(); s.Workers != 1 {
			t.Errorf("%+v: the pool should start anew", s)
		}
		p.Close()
	})
}

func TestClosedPoolStillRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int32
		p := New(0, func(int) { ran.Add(1) })
		p.Close()
		p.Submit(1)
		p.Submit(2)
		synctest.Wait()
		if ran.Load() != 2 || p.Stats().Workers != 0 {
			t.Errorf("ran %d, %+v", ran.Load(), p.Stats())
		}
	})
}

func TestItemThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int32
		p := New(0, func(i int) {
			ran.Add(1)
			if i == 0 {
				runtime.Goexit()
			}
		})
		p.Submit(0)
		p.Submit(1)
		synctest.Wait()
		if s := p.Stats(); ran.Load() != 2 || s.Workers != 1 {
			t.Errorf("ran %d, %+v", ran.Load(), s)
		}
		p.Close()
	})
}

func TestStackIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int32
		p := New(0, func(int) { ran.Add(1) })
		for range fresh + 10 {
			p.Submit(0)
		}
		synctest.Wait()
		if ran.Load() != fresh+10 {
			t.Errorf("ran %d", ran.Load())
		}
		p.Close()
	})
}

func TestManySubmitters(t *testing.T) {
	const submitters, items = 16, 2000
	var ran sync.WaitGroup
	ran.Add(submitters * items)
	p := New(0, func(int) { ran.Done() })
	for range submitters {
		go func() {
			for i := range items {
				p.Submit(i)
			}
		}()
	}
	ran.Wait()
	p.Close()
}

func BenchmarkSubmit(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(map[int]string{1: "one", 64: "burst"}[batch], func(b *testing.B) {
			var wg sync.WaitGroup
			p := New(0, func(int) { wg.Done() })
			defer p.Close()
			b.ReportAllocs()
			for i := 0; i < b.N; i += batch {
				wg.Add(batch)
				for range batch {
					p.Submit(1)
				}
				wg.Wait()
			}
		})
	}
}

package flow

import (
	"sync"
	"testing"
	"testing/synctest"
)

func TestQuotaLetsGoOnBelowItsLimit(t *testing.T) {
	q := NewQuota(100)
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
	q := NewQuota(100)
	q.Enqueued(1 << 20)
	if q.Queued() != 1<<20 {
		t.Fatal("not counted")
	}
}

func TestQuotaHoldsTheApplicationUntilBytesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQuota(100)
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
		q, done, went := NewQuota(1), make(chan struct{}), true
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
		q, went := NewQuota(1), false
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
	q := NewQuota(3)
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
	q := NewQuota(10)
	if n := testing.AllocsPerRun(100, func() {
		q.Enqueued(5)
		q.Wait(nil)
		q.Written(5)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

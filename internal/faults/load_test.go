package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// load is what goes on while a fault happens: a number of workers that call
// until they are told to end, and what became of their calls.
type load struct {
	t    testing.TB
	led  *ledger
	done chan struct{}
	all  sync.WaitGroup

	anybody bool // the servers do not write into the ledger

	ok     atomic.Int64
	failed atomic.Int64
	mu     sync.Mutex
	first  error // what no call may end with
}

func newLoad(t testing.TB, led *ledger) *load {
	return &load{t: t, led: led, done: make(chan struct{})}
}

// workers runs f over and over on n goroutines. A call that failed is followed
// by a short rest, or those that fail fast would take all there is.
func (l *load) workers(n int, f func() error) {
	for range n {
		l.all.Go(func() {
			for !l.isOver() {
				if err := f(); err == nil {
					l.ok.Add(1)
				} else {
					l.failed.Add(1)
					l.rest(time.Millisecond)
				}
			}
		})
	}
}

func (l *load) isOver() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *load) rest(d time.Duration) {
	select {
	case <-l.done:
	case <-time.After(d):
	}
}

// wrong notes an end that is none of those allowed.
func (l *load) wrong(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first = fmt.Errorf(format, args...)
	}
}

// progress waits until n more calls have succeeded, or something is wrong.
func (l *load) progress(n int64) {
	l.t.Helper()
	to := l.ok.Load() + n
	comesTo(l.t, fmt.Sprintf("%d further calls succeed", n), func() bool { return l.ok.Load() >= to || l.bad() != nil })
}

func (l *load) bad() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// end ends the load and judges it.
func (l *load) end() {
	l.t.Helper()
	close(l.done)
	l.all.Wait()
	if err := l.bad(); err != nil {
		l.t.Error(err)
	}
}

// invoke is one unary call. It has to answer with what was asked, and to end
// once.
func (l *load) invoke(ctx context.Context, cc grpc.ClientConnInterface, method string, opts ...grpc.CallOption) (id string, err error) {
	ctx, id = l.led.id(ctx)
	var ends atomic.Int32
	out := new(text)
	err = cc.Invoke(ctx, method, say(id), out, append(opts, grpc.OnFinish(func(error) { ends.Add(1) }))...)
	if n := ends.Load(); n != 1 {
		l.wrong("call %s ended %d times", id, n)
	}
	if n := l.led.started(id); err == nil && n == 0 && !l.anybody {
		l.wrong("call %s was answered by nobody", id)
	}
	if err == nil && out.GetValue() != id {
		l.wrong("call %s was answered with %q", id, out.GetValue())
	}
	return id, err
}

// call is a unary call that has as much time as it takes.
func (l *load) call(cc grpc.ClientConnInterface, opts ...grpc.CallOption) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), ample)
	defer cancel()
	return l.invoke(ctx, cc, echo, opts...)
}

// waiting calls wait for ready, and none may fail.
func (l *load) waiting(n int, cc grpc.ClientConnInterface) {
	l.workers(n, func() error {
		id, err := l.call(cc, grpc.WaitForReady(true))
		if err != nil {
			l.wrong("call %s waits for ready: %v", id, err)
		}
		return err
	})
}

// hasty calls fail fast, with UNAVAILABLE if at all.
func (l *load) hasty(n int, cc grpc.ClientConnInterface) {
	l.workers(n, func() error {
		id, err := l.call(cc)
		if err != nil && status.Code(err) != codes.Unavailable {
			l.wrong("call %s fails fast: %v", id, err)
		}
		return err
	})
}

var bidi = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

// conversation is a stream of numbered messages in both directions, n of them,
// and its end. What is received has to be a prefix of what was sent, all of it
// if it ended well, and the end always the same.
func (l *load) conversation(ctx context.Context, cc grpc.ClientConnInterface, n int, opts ...grpc.CallOption) (received int, err error) {
	ctx, id := l.led.id(ctx)
	return l.converse(ctx, id, cc, n, opts...)
}

func (l *load) converse(ctx context.Context, id string, cc grpc.ClientConnInterface, n int, opts ...grpc.CallOption) (received int, err error) {
	ends := make(chan error, 4)
	cs, err := cc.NewStream(ctx, bidi, chat, append(opts, grpc.OnFinish(func(err error) { ends <- err }))...)
	if err != nil {
		return 0, err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range n {
			if err := cs.SendMsg(say(strconv.Itoa(i))); err != nil {
				if !errors.Is(err, io.EOF) && status.Code(err) == codes.Unknown {
					l.wrong("stream %s: sending: %v", id, err)
				}
				return
			}
		}
		_ = cs.CloseSend()
	}()
	received, err = l.prefix(id, cs)
	<-sent
	if err == nil && received != n {
		l.wrong("stream %s ended well after %d messages of %d", id, received, n)
	}
	again := cs.RecvMsg(new(text))
	if want := status.Code(err); want != codes.OK && status.Code(again) != want || want == codes.OK && !errors.Is(again, io.EOF) {
		l.wrong("stream %s ended with %v, and again with %v", id, err, again)
	}
	first := <-ends
	if status.Code(first) != status.Code(err) {
		l.wrong("stream %s ended with %v, and OnFinish heard %v", id, err, first)
	}
	select {
	case more := <-ends:
		l.wrong("stream %s ended twice: %v", id, more)
	default:
	}
	return received, err
}

// prefix receives numbered messages until the end; nil is the good one.
func (l *load) prefix(id string, cs grpc.ClientStream) (n int, err error) {
	for {
		m := new(text)
		if err := cs.RecvMsg(m); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
		if m.GetValue() != strconv.Itoa(n) {
			l.wrong("stream %s: message %d is %q", id, n, m.GetValue())
		}
		n++
	}
}

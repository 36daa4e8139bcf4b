package faults_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Methods of the service under test. Messages are google.protobuf.StringValue.
const (
	service = "faults.S"
	echo    = "/faults.S/Echo"  // unary, answers with its request
	stuck   = "/faults.S/Stuck" // unary, answers when it is released or its context ends
	chat    = "/faults.S/Chat"  // answers each message with itself
	count   = "/faults.S/Count" // answers the first message with 0, 1, 2, ... up to its value
)

type text = wrapperspb.StringValue

func say(s string) *text { return wrapperspb.String(s) }

// idKey is the metadata that carries a call's id.
const idKey = "call-id"

// ledger is what the servers of a test write down: which calls have reached a
// handler, how often, and where last.
type ledger struct {
	mu     sync.Mutex
	starts map[string]int
	ids    atomic.Int64
}

func newLedger() *ledger { return &ledger{starts: map[string]int{}} }

// id makes a call's id, and a context that carries it.
func (l *ledger) id(ctx context.Context) (context.Context, string) {
	id := strconv.FormatInt(l.ids.Add(1), 10)
	return metadata.AppendToOutgoingContext(ctx, idKey, id), id
}

func (l *ledger) enter(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get(idKey); len(v) > 0 {
		l.mu.Lock()
		l.starts[v[0]]++
		l.mu.Unlock()
	}
}

func (l *ledger) started(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.starts[id]
}

// once fails the test for every call that has reached a handler more often than
// once: no retry of what a handler has seen is legal without a policy.
func (l *ledger) once(t testing.TB) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, n := range l.starts {
		if n > 1 {
			t.Errorf("call %s reached a handler %d times", id, n)
		}
	}
}

// backend is the service on one server.
type backend struct {
	*ledger
	calls   atomic.Int64 // that reached a handler here since somebody asked
	total   atomic.Int64 // the same, ever
	running atomic.Int64
	free    chan struct{}
	once    sync.Once
	pause   func(ctx context.Context) // before a unary answer; nil: none
}

func newBackend(l *ledger) *backend { return &backend{ledger: l, free: make(chan struct{})} }

// release lets the handlers go that wait for it.
func (b *backend) release() { b.once.Do(func() { close(b.free) }) }

func (b *backend) begin(ctx context.Context) (end func()) {
	b.enter(ctx)
	b.calls.Add(1)
	b.total.Add(1)
	b.running.Add(1)
	return func() { b.running.Add(-1) }
}

func (b *backend) desc() *grpc.ServiceDesc {
	streaming := func(name string, h func(grpc.ServerStream) error) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, ClientStreams: true, ServerStreams: true, Handler: func(_ any, ss grpc.ServerStream) error {
			defer b.begin(ss.Context())()
			return h(ss)
		}}
	}
	return &grpc.ServiceDesc{
		ServiceName: service,
		Methods: []grpc.MethodDesc{
			{MethodName: "Echo", Handler: b.unary(func(ctx context.Context) error {
				if b.pause != nil {
					b.pause(ctx)
				}
				return nil
			})},
			{MethodName: "Stuck", Handler: b.unary(func(ctx context.Context) error {
				select {
				case <-b.free:
					return nil
				case <-ctx.Done():
					return status.FromContextError(ctx.Err()).Err()
				}
			})},
		},
		Streams: []grpc.StreamDesc{streaming("Chat", answerEach), streaming("Count", countTo)},
	}
}

func (b *backend) unary(do func(context.Context) error) grpc.MethodHandler {
	return func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		defer b.begin(ctx)()
		in := new(text)
		if err := dec(in); err != nil {
			return nil, err
		}
		return in, do(ctx)
	}
}

func answerEach(ss grpc.ServerStream) error {
	for {
		m := new(text)
		if err := ss.RecvMsg(m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := ss.SendMsg(m); err != nil {
			return err
		}
	}
}

func countTo(ss grpc.ServerStream) error {
	m := new(text)
	if err := ss.RecvMsg(m); err != nil {
		return err
	}
	n, err := strconv.Atoi(m.GetValue())
	if err != nil {
		return err
	}
	for i := range n {
		if err := ss.SendMsg(say(strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return nil
}

package safety_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// Methods of the service under test. Messages are google.protobuf.BytesValue.
const (
	service = "safety.S"
	echo    = "/safety.S/Echo"   // unary
	hold    = "/safety.S/Hold"   // reads nothing, ends with its context or on release
	deaf    = "/safety.S/Deaf"   // reads nothing, ends on release alone
	sink    = "/safety.S/Sink"   // reads all, answers how much it was
	pour    = "/safety.S/Pour"   // reads one message, sends copies of it until it cannot
	chat    = "/safety.S/Chat"   // answers each message with itself
	slow    = "/safety.S/Slow"   // reads all, not before it is told to by a pause in what arrives
	swell   = "/safety.S/Swell"  // unary, answers with swollen octets
	crash   = "/safety.S/Crash"  // unary, panics
	crashes = "/safety.S/Crash2" // streaming, panics after the first message
)

const swollen = 1<<20 - 64

type bytesValue = wrapperspb.BytesValue

// probe is the service: it counts what reaches a handler.
type probe struct {
	started atomic.Int64
	running atomic.Int64
	poured  atomic.Int64 // octets that pour has handed over
	free    chan struct{}
	once    sync.Once
}

func newProbe() *probe { return &probe{free: make(chan struct{})} }

// release lets the handlers go that wait for it.
func (p *probe) release() { p.once.Do(func() { close(p.free) }) }

func (p *probe) enter() func() {
	p.started.Add(1)
	p.running.Add(1)
	return func() { p.running.Add(-1) }
}

func (p *probe) desc() *grpc.ServiceDesc {
	stream := func(name string, h func(grpc.ServerStream) error) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, ClientStreams: true, ServerStreams: true, Handler: func(_ any, ss grpc.ServerStream) error {
			defer p.enter()()
			return h(ss)
		}}
	}
	return &grpc.ServiceDesc{
		ServiceName: service,
		Methods: []grpc.MethodDesc{
			{MethodName: "Echo", Handler: p.unary(func(_ context.Context, m *bytesValue) (*bytesValue, error) { return m, nil })},
			{MethodName: "Swell", Handler: p.unary(func(context.Context, *bytesValue) (*bytesValue, error) {
				return wrapperspb.Bytes(make([]byte, swollen)), nil
			})},
			{MethodName: "Crash", Handler: p.unary(func(context.Context, *bytesValue) (*bytesValue, error) { panic("handler panics\r\n") })},
		},
		Streams: []grpc.StreamDesc{
			stream("Hold", p.hold), stream("Deaf", p.deaf), stream("Sink", p.sink), stream("Pour", p.pour), stream("Chat", p.chat), stream("Slow", p.slow),
			stream("Crash2", func(ss grpc.ServerStream) error {
				_ = ss.RecvMsg(new(bytesValue))
				panic("stream handler panics")
			}),
		},
	}
}

func (p *probe) unary(h func(context.Context, *bytesValue) (*bytesValue, error)) grpc.MethodHandler {
	return func(_ any, ctx context.Context, dec func(any) error, i grpc.UnaryServerInterceptor) (any, error) {
		defer p.enter()()
		in := new(bytesValue)
		if err := dec(in); err != nil {
			return nil, err
		}
		run := func(ctx context.Context, m any) (any, error) { return h(ctx, m.(*bytesValue)) }
		if i == nil {
			return run(ctx, in)
		}
		return i(ctx, in, &grpc.UnaryServerInfo{FullMethod: echo}, run)
	}
}

func (p *probe) hold(ss grpc.ServerStream) error {
	select {
	case <-ss.Context().Done():
	case <-p.free:
	}
	return nil
}

func (p *probe) deaf(grpc.ServerStream) error {
	<-p.free
	return nil
}

func (*probe) sink(ss grpc.ServerStream) error {
	n := 0
	for {
		m := new(bytesValue)
		if err := ss.RecvMsg(m); err != nil {
			if errors.Is(err, io.EOF) {
				return ss.SendMsg(wrapperspb.Bytes(make([]byte, min(n, 1))))
			}
			return err
		}
		n += len(m.GetValue())
	}
}

// slow gives the peer time to send all it may.
func (p *probe) slow(ss grpc.ServerStream) error {
	<-time.After(awhile)
	return p.sink(ss)
}

func (p *probe) pour(ss grpc.ServerStream) error {
	m := new(bytesValue)
	if err := ss.RecvMsg(m); err != nil {
		return err
	}
	for {
		if err := ss.SendMsg(m); err != nil {
			return err
		}
		p.poured.Add(int64(len(m.GetValue())))
	}
}

func (*probe) chat(ss grpc.ServerStream) error {
	for {
		m := new(bytesValue)
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

// payload is the wire octets, with prefix, of a message of n octets or a few
// more.
func payload(t testing.TB, n int) []byte {
	t.Helper()
	return testpeer.Message(encoded(t, n))
}

func encoded(t testing.TB, n int) []byte {
	t.Helper()
	b, err := proto.Marshal(wrapperspb.Bytes(make([]byte, n)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

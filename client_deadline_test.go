package callboard_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// A deadline is met within 50 ms. A machine that has other things to do may be
// late, so the best of some counts; nobody may be early.
func TestDeadlinesAreMet(t *testing.T) {
	const limit, within, tries = 60 * time.Millisecond, 50 * time.Millisecond, 10
	h := newHeld()
	defer close(h.release)
	h.started = make(chan struct{}, 100)
	addr := playbook{unary: h.unary}.start(t, newSystem(t).NewServer())
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for name, tt := range map[string]struct {
		addr string
		opts []grpc.CallOption
		call func(ctx context.Context, cc *callboard.ClientConn, opts ...grpc.CallOption) error
	}{
		"unary":                                {addr, nil, invoke},
		"stream":                               {addr, nil, openAndReceive},
		"wait-for-ready, while nobody answers": {silent.Addr().String(), []grpc.CallOption{grpc.WaitForReady(true)}, invoke},
	} {
		t.Run(name, func(t *testing.T) {
			cc := ours(t, tt.addr)
			best := time.Hour
			for range tries {
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				at, _ := ctx.Deadline()
				err := tt.call(ctx, cc, tt.opts...)
				late := time.Since(at)
				cancel()
				if status.Code(err) != codes.DeadlineExceeded {
					t.Fatalf("got %v", err)
				}
				if late < -time.Millisecond {
					t.Errorf("%v early", -late)
				}
				if best = min(best, late); best < within {
					break
				}
			}
			if best > within {
				t.Errorf("%v late at best, want %v at most", best, within)
			}
		})
	}
	// A handler hears of it as soon: its own clock counts from the request.
	t.Run("handler", func(t *testing.T) {
		ends := make(chan time.Duration, 1)
		addr := playbook{unary: func(ctx context.Context, in *text) (*text, error) {
			at, _ := ctx.Deadline()
			<-ctx.Done()
			ends <- time.Since(at)
			return in, ctx.Err()
		}}.start(t, newSystem(t).NewServer())
		p := testpeer.Dial(t, addr)
		p.Handshake()
		best := time.Hour
		for i := range uint32(tries) {
			p.Headers(2*i+1, testpeer.Request(unaryPath).With("grpc-timeout", "60m")...) // and does not mind it itself
			p.DataEnd(2*i+1, testpeer.Message(nil))
			if best = min(best, <-ends); best < within {
				break
			}
		}
		if best > within {
			t.Errorf("%v late at best, want %v at most", best, within)
		}
	})
}

func invoke(ctx context.Context, cc *callboard.ClientConn, opts ...grpc.CallOption) error {
	return cc.Invoke(ctx, unaryPath, wrapperspb.String(""), new(text), opts...)
}

func openAndReceive(ctx context.Context, cc *callboard.ClientConn, opts ...grpc.CallOption) error {
	cs, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, unaryPath, opts...)
	if err != nil {
		return err
	}
	if err := cs.SendMsg(wrapperspb.String("")); err != nil {
		return err
	}
	if err := cs.CloseSend(); err != nil {
		return err
	}
	return cs.RecvMsg(new(text))
}

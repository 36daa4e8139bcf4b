package callboard_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

func TestWhyTheServerAllowsNoStream(t *testing.T) {
	l := testpeer.Listen(t)
	full := make(chan struct{})
	l.Script(func(p *testpeer.Peer) {
		p.Handshake(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
		p.ExpectRequest()
		close(full)
		p.ExpectClosed(10 * time.Second)
	})
	c := newWhyClient(t, "passthrough:///"+l.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first := make(chan error, 1)
	go func() {
		_, err := c.UnaryCall(ctx, &pb.SimpleRequest{})
		first <- err
	}()
	<-full
	why := wantWhy(t, c.within(soonOver, 0), codes.DeadlineExceeded, callboard.WaitingForStream)
	if d := cmp.Diff([]callboard.Stage{callboard.WaitingForStream}, stages(why)); d != "" {
		t.Error(d)
	}
	ctx2, cancel2 := context.WithTimeout(context.Background(), soonOver)
	defer cancel2()
	_, err := c.StreamingCall(ctx2)
	wantWhy(t, err, codes.DeadlineExceeded, callboard.WaitingForStream)
	cancel()
	wantWhy(t, <-first, codes.Canceled, callboard.WaitingForResponse)
}

func stages(w callboard.Why) (list []callboard.Stage) {
	for _, e := range w.Elapsed {
		list = append(list, e.Stage)
	}
	return list
}

func TestWhyTheServerGrantsNoWindow(t *testing.T) {
	l := testpeer.Listen(t)
	l.Script(func(p *testpeer.Peer) {
		p.Handshake()
		p.ExpectRequest()
		p.ExpectClosed(10 * time.Second)
	})
	c := newWhyClient(t, "passthrough:///"+l.Addr())
	why := wantWhy(t, c.within(soonOver, 100<<10), codes.DeadlineExceeded, callboard.SendingBlocked)
	if why.Queued < 100<<10-frame.DefaultWindow || why.Queued > 101<<10 {
		t.Errorf("%d octets wait", why.Queued)
	}
}

// The detail reaches through interceptors, on unary and streaming RPCs.
func TestWhyTheServerIsSilent(t *testing.T) {
	l := testpeer.Listen(t)
	l.Script(func(p *testpeer.Peer) {
		p.Handshake()
		p.ExpectRequest()
		p.ExpectRequest()
		p.ExpectClosed(10 * time.Second)
	})
	seen := 0
	c := newWhyClient(t, "passthrough:///"+l.Addr(),
		callboard.WithChainUnaryInterceptor(func(ctx context.Context, m string, q, r any, cc *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
			err := call(ctx, m, q, r, cc, o...)
			if _, ok := callboard.WhyOf(err); ok {
				seen++
			}
			return fmt.Errorf("outer: %w", err)
		}))
	err := c.within(soonOver, 0)
	why := wantWhy(t, err, codes.DeadlineExceeded, callboard.WaitingForResponse)
	if why.Cause != nil || !errors.Is(err, context.DeadlineExceeded) || seen != 1 {
		t.Errorf("cause %v, %d interceptors saw it", why.Cause, seen)
	}
	if n := len(why.Elapsed); n == 0 || why.Elapsed[n-1].For > time.Second {
		t.Errorf("elapsed %v", why.Elapsed)
	}
	ctx, cancel := context.WithTimeout(context.Background(), soonOver)
	defer cancel()
	st, err := c.StreamingCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.Recv()
	wantWhy(t, err, codes.DeadlineExceeded, callboard.WaitingForResponse)
}

// A connection that breaks under an RPC says how.
func TestWhyTheConnectionIsLost(t *testing.T) {
	reset := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
	tests := []struct {
		name  string
		end   func(p *testpeer.Peer, q *testpeer.Inquiry)
		cause func(err error) bool
	}{
		{"reset by TCP", func(p *testpeer.Peer, _ *testpeer.Inquiry) { p.ResetTCP() }, reset},
		{
			"a rule is broken", func(p *testpeer.Peer, _ *testpeer.Inquiry) {
				p.Settings(http2.Setting{ID: http2.SettingEnablePush, Val: 7})
			},
			func(err error) bool {
				var ce *frame.ConnError
				return errors.As(err, &ce) && ce.Clause != "" && ce.Blame == frame.Remote
			},
		},
		{"announced", func(p *testpeer.Peer, q *testpeer.Inquiry) {
			p.GoAway(q.ID, http2.ErrCodeEnhanceYourCalm, "calm\n")
			p.ResetTCP()
		}, func(err error) bool {
			var ga *conn.GoAwayError
			return reset(err) && errors.As(err, &ga) && ga.Frame.Code == frame.EnhanceYourCalm && string(ga.Frame.Debug) == "calm\n"
		}},
		{"stream refused by its server", func(p *testpeer.Peer, q *testpeer.Inquiry) {
			p.Headers(q.ID, testpeer.Response()...)
			p.RST(q.ID, http2.ErrCodeRefusedStream)
		}, func(err error) bool {
			var se *frame.StreamError
			return errors.As(err, &se) && se.Code == frame.RefusedStream
		}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			l := testpeer.Listen(t)
			l.Script(func(p *testpeer.Peer) {
				p.Handshake()
				c.end(p, p.ExpectRequest())
				p.ExpectClosed(10 * time.Second)
			})
			cl := newWhyClient(t, "passthrough:///"+l.Addr())
			err := cl.within(5*time.Second, 0)
			why := wantWhy(t, err, codes.Unavailable, callboard.Lost)
			if !c.cause(err) || !c.cause(why.Cause) {
				t.Errorf("cause %v (%T)", why.Cause, why.Cause)
			}
			if !slices.Contains(stages(why), callboard.WaitingForResponse) {
				t.Errorf("elapsed %v", why.Elapsed)
			}
		})
	}
}

// What a server answers is its own: there is nothing to explain.
func TestServersAnswersHaveNoDetail(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.NotFound} {
		t.Run(code.String(), func(t *testing.T) {
			fail := func(context.Context, *text) (*text, error) { return nil, status.Error(code, "no") }
			onStage(t, playbook{unary: fail}, nil, func(s *stage) {
				err := s.call(context.Background())
				if why, ok := callboard.WhyOf(err); ok || status.Code(err) != code {
					t.Errorf("%v: %+v", err, why)
				}
			})
		})
	}
	if _, ok := callboard.WhyOf(nil); ok {
		t.Error("no error has a detail")
	}
}

// RPCs on a channel that is closed say so.
func TestWhyTheChannelIsClosed(t *testing.T) {
	hold := func(ctx context.Context, in *text) (*text, error) { <-ctx.Done(); return in, nil }
	onStage(t, playbook{unary: hold}, nil, func(s *stage) {
		under := make(chan error, 1)
		go func() { under <- s.call(context.Background()) }()
		synctest.Wait()
		_ = s.cc.Close()
		wantWhy(t, <-under, codes.Canceled, callboard.Lost)
		wantWhy(t, s.call(context.Background()), codes.Canceled, callboard.Lost)
	})
}

package callboard_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

func TestStatsComeInGrpcGosOrder(t *testing.T) {
	service := playbook{
		unary: func(_ context.Context, in *text) (*text, error) {
			if in.GetValue() == "fail" {
				return nil, status.Error(codes.Aborted, "")
			}
			return in, nil
		},
		stream: echoStream,
	}
	calls := map[string]func(*testing.T, *grpc.ClientConn){
		"unary": func(t *testing.T, cc *grpc.ClientConn) {
			if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String("x"), new(text)); err != nil {
				t.Error(err)
			}
		},
		"failing unary": func(t *testing.T, cc *grpc.ClientConn) {
			_ = cc.Invoke(soon(t), unaryPath, wrapperspb.String("fail"), new(text))
		},
		"stream":       func(t *testing.T, cc *grpc.ClientConn) { pingPong(t, cc, bidiPath, "1", "2") },
		"empty stream": func(t *testing.T, cc *grpc.ClientConn) { pingPong(t, cc, bidiPath) },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			observe := func(srv server, l *statsLog) []string {
				call(t, dialTheirs(t, service.start(t, srv)))
				<-l.over
				return l.take()
			}
			theirs, ours := newStatsLog(), newStatsLog()
			want := observe(grpc.NewServer(grpc.StatsHandler(theirs)), theirs)
			got := observe(newSystem(t).NewServer(callboard.StatsHandler(ours)), ours)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-grpc-go +callboard:\n%s", diff)
			}
		})
	}
}

func TestStatsTagContexts(t *testing.T) {
	l := newStatsLog()
	srv := newSystem(t).NewServer(callboard.StatsHandler(l))
	cc := dialTheirs(t, playbook{unary: func(ctx context.Context, in *text) (*text, error) {
		if ctx.Value(tagKey("rpc")) != "tagged" || ctx.Value(tagKey("conn")) != "tagged" {
			t.Error("the handler's context lacks a tag")
		}
		if m, ok := grpc.Method(ctx); !ok || m != unaryPath {
			t.Errorf("method %q", m)
		}
		return in, nil
	}}.start(t, srv))
	if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
		t.Fatal(err)
	}
	_ = cc.Close()
	srv.GracefulStop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conn) == 0 || l.conn[0] != "ConnBegin" {
		t.Errorf("connection events %v", l.conn)
	}
}

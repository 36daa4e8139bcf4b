package testpeer_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/internal/testpeer"
)

func TestScriptedServer(t *testing.T) {
	for name, c := range map[string]struct {
		script func(p *testpeer.Peer)
		want   codes.Code
	}{
		"well-formed answer": {func(p *testpeer.Peer) {
			p.Handshake()
			q := p.ExpectRequest()
			p.ExpectMessage(q.ID)
			p.ExpectEnd(q.ID)
			p.Headers(q.ID, testpeer.Response()...)
			p.Data(q.ID, testpeer.Message(nil))
			p.Trailers(q.ID, codes.OK, "")
			p.ExpectClosed(5 * time.Second)
		}, codes.OK},
		"trailers only": {func(p *testpeer.Peer) {
			p.Handshake()
			q := p.ExpectRequest()
			trailers := append(testpeer.Response(), testpeer.Status(codes.DataLoss, "gone")...)
			p.HeadersEnd(q.ID, trailers...)
			p.ExpectClosed(5 * time.Second)
		}, codes.DataLoss},
		"reset by TCP": {func(p *testpeer.Peer) {
			p.Handshake()
			p.ExpectRequest()
			p.ResetTCP()
		}, codes.Unavailable},
		"closed for writing": {func(p *testpeer.Peer) {
			p.Handshake()
			p.ExpectRequest()
			p.CloseWrite()
			p.ExpectClosed(5 * time.Second)
		}, codes.Unavailable},
		"stream reset": {func(p *testpeer.Peer) {
			p.Handshake()
			q := p.ExpectRequest()
			p.RST(q.ID, http2.ErrCodeEnhanceYourCalm)
			p.ExpectClosed(5 * time.Second)
		}, codes.ResourceExhausted},
		"hpack garbage": {func(p *testpeer.Peer) {
			p.Handshake()
			q := p.ExpectRequest()
			p.Block(q.ID, testpeer.HuffmanGarbage(), false)
			p.ExpectClosed(5 * time.Second)
		}, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t)
			done := l.Script(c.script)
			func() {
				cl, hangUp := dialOnce(t, l.Addr())
				defer hangUp()
				_, err := cl.UnaryCall(soon(t), &pb.SimpleRequest{})
				if got := status.Code(err); got != c.want {
					t.Errorf("got %v, want %v", err, c.want)
				}
			}()
			<-done
		})
	}
}

func TestCallMovesToTheNextConnection(t *testing.T) {
	for name, refuse := range map[string]func(p *testpeer.Peer, q *testpeer.Inquiry){
		"goaway below the stream": func(p *testpeer.Peer, _ *testpeer.Inquiry) {
			p.GoAway(0, http2.ErrCodeNo, "bye")
		},
		"refused stream": func(p *testpeer.Peer, q *testpeer.Inquiry) {
			p.Batch(func() {
				p.GoAway(q.ID, http2.ErrCodeNo, "")
				p.RST(q.ID, http2.ErrCodeRefusedStream)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t)
			l.Script(func(p *testpeer.Peer) {
				p.Handshake()
				refuse(p, p.ExpectRequest())
				l.Script(func(p *testpeer.Peer) {
					p.Handshake()
					q := p.ExpectRequest()
					p.Headers(q.ID, testpeer.Response()...)
					p.Data(q.ID, testpeer.Message(nil))
					p.Trailers(q.ID, codes.OK, "")
					p.ExpectClosed(5 * time.Second)
				})
				p.ExpectClosed(5 * time.Second)
			})
			cl, hangUp := dialOnce(t, l.Addr())
			defer hangUp()
			if _, err := cl.UnaryCall(soon(t), &pb.SimpleRequest{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestServerThatNeverAnswers(t *testing.T) {
	l := testpeer.Listen(t)
	cl := grpcClient(t, l.Addr())
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := cl.UnaryCall(ctx, &pb.SimpleRequest{})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
}

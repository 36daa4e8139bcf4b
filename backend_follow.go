package callboard

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// leastPause is the least time between two messages that a backend's health or
// load service is listened to. Each may change the channel's picker, so a server
// must not say how often that is; one that says more waits for its stream's
// window.
const leastPause = 10 * time.Millisecond

// follow makes a server-streaming RPC to a backend and passes on what comes.
// heard says whether anything did; err is how the RPC ended.
func follow[M any](ctx context.Context, b *backend, method string, req any, each func(*M)) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := b.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return false, err
	}
	if err := s.SendMsg(req); err != nil {
		return false, s.RecvMsg(new(M))
	}
	for {
		m := new(M)
		if err := s.RecvMsg(m); err != nil {
			return heard, err
		}
		heard = true
		each(m)
		if !pause(ctx, leastPause) {
			return heard, ctx.Err()
		}
	}
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package faults_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// call is one RPC of any kind.
func (s *soak) call(cc grpc.ClientConnInterface, r *rand.Rand) (err error) {
	limit := time.Duration(20+r.IntN(400)) * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	due, _ := ctx.Deadline()
	wait := r.IntN(2) == 0
	canceled := r.IntN(5) == 0
	if canceled {
		t := time.AfterFunc(time.Duration(r.Int64N(int64(limit))), cancel)
		defer t.Stop()
	}
	opt := grpc.WaitForReady(wait)
	switch r.IntN(5) {
	case 0, 1:
		_, err = s.l.invoke(ctx, cc, echo, opt)
	case 2:
		_, err = s.l.invoke(ctx, cc, stuck, opt)
	case 3:
		_, err = s.l.conversation(ctx, cc, r.IntN(100), opt)
	case 4:
		err = s.pour(ctx, cc, r, opt)
	}
	s.judge(err, wait, canceled, time.Since(due))
	return err
}

// pour asks for numbers, many of them.
func (s *soak) pour(ctx context.Context, cc grpc.ClientConnInterface, r *rand.Rand, opts ...grpc.CallOption) error {
	ctx, id := s.led.id(ctx)
	cs, err := cc.NewStream(ctx, bidi, count, opts...)
	if err != nil {
		return err
	}
	n := r.IntN(20_000)
	// What follows the number only fills windows.
	if err := cs.SendMsg(say(strconv.Itoa(n))); err == nil {
		_ = cs.SendMsg(say(strings.Repeat("x", r.IntN(200<<10))))
	}
	_ = cs.CloseSend()
	got, err := s.l.prefix(id, cs)
	if err == nil && got != n {
		s.l.wrong("stream %s ended well after %d messages of %d", id, got, n)
	}
	return err
}

// bearable is how late an RPC may end on a machine that is very busy.
const bearable = 5 * time.Second

// judge says whether an end is explained.
func (s *soak) judge(err error, wait, canceled bool, late time.Duration) {
	code := status.Code(err)
	s.mu.Lock()
	s.ends[code]++
	s.mu.Unlock()
	why, explained := callboard.WhyOf(err)
	switch code {
	case codes.OK:
	case codes.DeadlineExceeded:
		// The server's clock may be ahead by a little, ours may not.
		if late < 0 && explained {
			s.l.wrong("%v before the deadline: %v", -late, err)
		}
	case codes.Canceled:
		if !canceled {
			s.l.wrong("nobody has cancelled it: %v", err)
		}
	case codes.Unavailable:
		if !explained || wait && why.Stage != callboard.Lost {
			s.l.wrong("waits %v, ended at stage %v: %v", wait, why.Stage, err)
		}
	default:
		s.l.wrong("unexplained: %v", err)
	}
	if late > bearable {
		s.l.wrong("it ended %v after its deadline: %v", late, err)
	}
}

func (s *soak) codes() map[codes.Code]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends
}

package resolver

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/resolver"
)

// Source answers what a target resolves to, when it is asked. It needs no
// goroutine and no timer: the resolver actor asks it one question at a time, on
// a goroutine that is not the actor's, and decides when the next one is due.
// Make a builder of it with [Polling]. A resolver that has to push what it
// learns implements grpc-go's resolver.Builder instead.
type Source interface {
	// Resolve looks once. It ends when ctx does. The last good answer stays in
	// force when it returns an error. A panic is one, too; the source is
	// opened anew after a pause.
	Resolve(ctx context.Context) (Answer, error)
}

// SourceFunc is a function that is a Source.
type SourceFunc func(ctx context.Context) (Answer, error)

// Resolve implements Source.
func (f SourceFunc) Resolve(ctx context.Context) (Answer, error) { return f(ctx) }

// Schedule says when a Source is asked. It is asked once when the channel
// starts, and after a failure with gRPC's backoff (1 s, x1.6, 120 s, jitter
// 0.2).
type Schedule struct {
	// Poll is the time from one look to the next, varied by up to a fifth more
	// so that many clients do not ask at once. At least 100 ms; 0 and less: only
	// when asked to.
	Poll time.Duration
	// MinInterval is the least time from one look to the next that a lost
	// connection asks for. 0: at once.
	MinInterval time.Duration
	// Timeout of one look. Default 30 s.
	Timeout time.Duration
}

const (
	leastPoll      = 100 * time.Millisecond
	pollJitter     = 0.2
	defaultTimeout = 30 * time.Second
)

// Polling makes a builder of a Source, for callboard.WithResolvers or
// resolver.Register of grpc-go. Scheme is in lower case. open is called with
// each target, off the actor's turn like Resolve, and again after it failed.
//
// What it makes is driven by callboard's resolver actor; grpc-go's own channel
// gets an error from it.
func Polling(scheme string, s Schedule, open func(resolver.Target, resolver.BuildOptions) (Source, error)) resolver.Builder {
	return &polling{scheme: scheme, schedule: s, open: open}
}

type polling struct {
	scheme   string
	schedule Schedule
	open     func(resolver.Target, resolver.BuildOptions) (Source, error)
}

// Scheme implements resolver.Builder.
func (p *polling) Scheme() string { return p.scheme }

var errForeignHost = errors.New("resolver: this one is asked by callboard's channel and cannot serve another")

// Build implements resolver.Builder for channels that do not know how to ask.
func (p *polling) Build(resolver.Target, resolver.ClientConn, resolver.BuildOptions) (resolver.Resolver, error) {
	return nil, errForeignHost
}

func (s Schedule) timeout() time.Duration {
	if s.Timeout <= 0 {
		return defaultTimeout
	}
	return s.Timeout
}

// poll is the time to the next look without a reason; 0: there is none. draw is
// from [0,1).
func (s Schedule) poll(draw float64) time.Duration {
	if s.Poll <= 0 {
		return 0
	}
	d := max(s.Poll, leastPoll)
	return d + time.Duration(pollJitter*draw*float64(d))
}

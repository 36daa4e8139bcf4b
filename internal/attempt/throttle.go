package attempt

import "sync/atomic"

// Throttling is the service config's retryThrottling, in thousandths of a
// token (gRFC A6: three decimals count).
type Throttling struct {
	MaxTokens  int64 // in (0, 1000*1000]
	TokenRatio int64 // gained with each success; more than 0
}

// Throttle stops retries and hedges of a channel while too many of its RPCs
// fail. It is safe for concurrent use. A nil Throttle never stops anything.
type Throttle struct {
	cfg    Throttling
	tokens atomic.Int64
}

// NewThrottle makes a throttle that is full of tokens.
func NewThrottle(cfg Throttling) *Throttle { return resume(cfg, cfg.MaxTokens) }

// Renew is the throttle for a new configuration: t itself where nothing has
// changed, else one that is as full as t was. A client whose service config is
// looked up again and again does not get its tokens back by that.
func (t *Throttle) Renew(cfg Throttling) *Throttle {
	switch {
	case t == nil:
		return NewThrottle(cfg)
	case t.cfg == cfg:
		return t
	}
	return resume(cfg, t.tokens.Load()*cfg.MaxTokens/t.cfg.MaxTokens)
}

func resume(cfg Throttling, tokens int64) *Throttle {
	t := &Throttle{cfg: cfg}
	t.tokens.Store(tokens)
	return t
}

// Config is what the throttle was made for.
func (t *Throttle) Config() Throttling { return t.cfg }

// Open says whether retries and hedges may be sent now.
func (t *Throttle) Open() bool {
	return t == nil || t.tokens.Load() > t.cfg.MaxTokens/2
}

// Failed takes a token, and says whether the throttle is open still.
func (t *Throttle) Failed() bool {
	if t == nil {
		return true
	}
	for {
		had := t.tokens.Load()
		left := max(had-1000, 0)
		if t.tokens.CompareAndSwap(had, left) {
			return left > t.cfg.MaxTokens/2
		}
	}
}

// Succeeded gives a part of a token back.
func (t *Throttle) Succeeded() {
	if t == nil {
		return
	}
	for {
		had := t.tokens.Load()
		if had >= t.cfg.MaxTokens {
			return // nearly always: no write that others would have to wait for
		}
		if t.tokens.CompareAndSwap(had, min(had+t.cfg.TokenRatio, t.cfg.MaxTokens)) {
			return
		}
	}
}

// Package flow holds the arithmetic of letting a sender send no more than the
// other side can take: HTTP/2 windows in both directions (RFC 9113 6.9), the
// quota that slows an application down, budgets for bytes held in memory, and
// the token bucket that floods run into.
//
// Nothing here does I/O, reads a clock or starts a goroutine. Window, Receive
// and Bucket belong to one actor and are plain values; Budget and Quota are
// shared and made of atomics.
//
// Wrong input comes in two kinds. A peer that overruns a window or grants too
// much is reported as an error, for the caller to turn into the connection or
// stream error that applies at its level. Arithmetic of ours that does not add
// up (more consumed than was received, more refunded than was charged) panics:
// every number after it would be a lie.
package flow

import "errors"

// MaxWindow is the largest window RFC 9113 6.9.1 allows.
const MaxWindow = 1<<31 - 1

var (
	// ErrOverflow says that the peer's grant takes a send window above
	// MaxWindow: FLOW_CONTROL_ERROR (RFC 9113 6.9.1, 6.9.2).
	ErrOverflow = errors.New("flow-control window above 2^31-1")

	// ErrOverrun says that the peer sent more than it was granted:
	// FLOW_CONTROL_ERROR (RFC 9113 6.9.1).
	ErrOverrun = errors.New("flow-control window overrun")
)

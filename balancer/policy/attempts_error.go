package policy

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNoAddresses fails RPCs when the resolver has found a name without addresses.
var ErrNoAddresses = errors.New("no addresses")

// AddressError is the last failure of one address.
type AddressError struct {
	Address string
	Err     error
}

// Error implements error.
func (e *AddressError) Error() string { return fmt.Sprintf("%s: %v", e.Address, e.Err) }

// Unwrap returns Err.
func (e *AddressError) Unwrap() error { return e.Err }

// AttemptsError fails RPCs when pick_first has reached none of its addresses. It
// is UNAVAILABLE whatever it wraps: a status in its chain is a cause, not its own.
type AttemptsError struct {
	Failures []AddressError // in the order in which addresses are tried; those that have failed
}

// shownFailures bounds the length of an AttemptsError's text.
const shownFailures = 3

// Error implements error. It names the first few addresses.
func (e *AttemptsError) Error() string {
	if len(e.Failures) == 0 {
		return "no address could be reached"
	}
	var b strings.Builder
	for i := range e.Failures {
		if i == shownFailures {
			fmt.Fprintf(&b, "; and %d more", len(e.Failures)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(e.Failures[i].Error())
	}
	return b.String()
}

// Unwrap returns the failures, each an *AddressError.
func (e *AttemptsError) Unwrap() []error {
	list := make([]error, len(e.Failures))
	for i := range e.Failures {
		list[i] = &e.Failures[i]
	}
	return list
}

// attemptsError is what pick_first fails RPCs with.
func (p *pickFirst) attemptsError() *AttemptsError {
	e := &AttemptsError{}
	for _, a := range p.list {
		if a.err != nil {
			e.Failures = append(e.Failures, AddressError{Address: a.Addr, Err: a.err})
		}
	}
	return e
}

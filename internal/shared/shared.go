// Package shared keeps one copy of values that many hold alike: the limits of
// ten thousand connections of one server, say.
package shared

import "sync/atomic"

// recent is how many different values are found again: those of a few servers
// and channels. One that is not found is kept twice, which costs memory only.
const recent = 8

// Values finds what is equal. The zero Values is ready; it is safe for
// concurrent use.
type Values[T comparable] struct {
	recent [recent]atomic.Pointer[T]
	next   atomic.Uint32
}

// Of returns a pointer to a value equal to x, which nobody changes.
func (v *Values[T]) Of(x T) *T {
	for i := range v.recent {
		if p := v.recent[i].Load(); p != nil && *p == x {
			return p
		}
	}
	p := &x
	v.recent[(v.next.Add(1)-1)%recent].Store(p)
	return p
}

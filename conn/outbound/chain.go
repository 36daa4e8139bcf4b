package outbound

import "github.com/callboard-rpc/callboard/codec/frame"

// chain is the queue of one stream: links in the arena that all streams of the
// connection share, so an idle stream costs eight bytes and a busy one grows
// nothing of its own. Links are numbered from 1; the zero chain is empty.
type chain struct{ first, last int32 }

func (c *chain) empty() bool { return c.first == 0 }

// arena holds the links of all chains and the free ones.
type arena struct {
	links []link
	free  int32
}

type link struct {
	out  *frame.Outgoing
	next int32
}

func (a *arena) first(c *chain) *frame.Outgoing { return a.links[c.first-1].out }

func (a *arena) push(c *chain, o *frame.Outgoing) {
	i := a.free
	if i == 0 {
		a.links = append(a.links, link{})
		i = int32(len(a.links))
	} else {
		a.free = a.links[i-1].next
	}
	a.links[i-1] = link{out: o}
	if c.first == 0 {
		c.first = i
	} else {
		a.links[c.last-1].next = i
	}
	c.last = i
}

func (a *arena) pop(c *chain) *frame.Outgoing {
	i := c.first
	l := &a.links[i-1]
	o := l.out
	c.first = l.next
	if c.first == 0 {
		c.last = 0
	}
	*l = link{next: a.free}
	a.free = i
	return o
}

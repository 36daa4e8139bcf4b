package flow

// Room is the memory of the messages that are being put together on one
// connection. No octet of it is charged twice: the first part of a message, as
// much as the peer may send unasked, is charged to a budget here. The rest was
// charged already when the stream's window was grown for it, so it is only held
// against what windows have grown by.
//
// A Room belongs to the connection's reader. The budgets are shared.
type Room struct {
	first   *Budget
	growth  *Budget // nil: windows grow unasked, and nothing is held against them
	covered int64   // octets of messages that growth pays for
}

// NewRoom makes the room of one connection.
func NewRoom(first, growth *Budget) *Room { return &Room{first: first, growth: growth} }

// Announce takes n octets for the first part of a message of which nothing has
// arrived. It may have half of what is left: the other half is for octets that
// arrive, so that announcements cannot shut others out.
func (r *Room) Announce(n int) bool {
	return int64(n) <= r.first.Left()/2 && r.Extend(n, 0)
}

// Extend takes n octets for what arrives of a message that has own octets of
// memory already. A connection that holds nothing else gets them in any case.
func (r *Room) Extend(n, own int) bool {
	if r.first.Charge(n) {
		return true
	}
	if r.first.Used() > int64(own) {
		return false
	}
	r.first.Force(n)
	return true
}

// Cover takes the n octets that a message lacks beyond its first part, if
// windows have grown by as much.
func (r *Room) Cover(n int) bool {
	if r.growth != nil && r.covered+int64(n) > r.growth.Used() {
		return false
	}
	r.covered += int64(n)
	return true
}

// Release gives back what Announce and Extend have charged, and what Cover has
// let through.
func (r *Room) Release(charged, covered int) {
	r.first.Refund(charged)
	r.covered -= int64(covered)
}

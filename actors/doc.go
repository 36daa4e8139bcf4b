// Package actors is how callboard does actors on protoactor-go: a mailbox that
// can be inspected, ways to dispatch it, typed references, timers, slots,
// supervision and a table of who is alive. It knows no RPC.
//
// # Mailbox
//
// Every actor has one [Mailbox]. System messages come first, user messages of
// one sender in the order they were sent. Nothing is lost silently: what a
// stopped actor had not handled, and what is sent to it later, becomes a dead
// letter and is counted. A mailbox is suspended from the moment its actor
// panics until its supervisor has decided; user messages wait meanwhile.
//
//	          post, idle                     queue empty
//	idle ----------------------> running ------------------> idle
//	                               |  ^
//	                         panic |  | resume, restart
//	                               v  |
//	                            suspended ---- stop ----> stopped
//
// The owner of a mailbox is whoever set its running bit. Ownership passes from
// goroutine to goroutine through that bit, so fields marked "owner" need no
// lock and actors need no mutex.
//
// # Modes
//
// [Inline] runs an idle actor on the sender's stack without queueing; a post
// to a running one queues, so cycles of actors do not recurse. [Goroutine]
// starts a goroutine for each burst. [Resident] keeps one goroutine, which
// takes everything queued at once and parks when there is nothing left.
//
// # Rules
//
// Never post while holding a lock that a receiver may want: an inline receiver
// runs before the post returns. Messages are pointers; do not touch a message
// after it was posted. Do not send a type with a GetMessages method.
// An actor.Context is valid during Receive only.
//
// # Inspection
//
// Each actor has a [Probe], reached through its [Ref] or through the [Table].
// Reading one never asks the actor, which may be stuck.
package actors

// Package safety holds the tests of what one peer may do to the other: every
// limit, budget, bad input and fault of the safety document, sent over a real
// socket by a scripted peer of raw frames.
//
// A test takes one of two shapes: a hostile client against callboard.NewServer,
// or a hostile server against callboard.NewClient. When it ends, the system it
// ran in has to be quiet: no stream, no connection, no actor is left, and with
// the last test no goroutine.
//
// Limits that take minutes (a stream without window, a socket that takes
// nothing) are tested with virtual time, in package conn.
package safety

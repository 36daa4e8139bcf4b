// Package faults holds the proof that a channel lives through what networks and
// servers do to it: whole callboard clients against real servers, callboard's and
// grpc-go's, over loopback sockets that are cut, filled, silenced and moved away
// under load.
//
// Every RPC carries an id, and every server writes down which ids have reached a
// handler. So a test can say more than that calls succeed: none was lost, none
// reached a handler twice, and each ended exactly once, with a status that the
// fault explains.
//
// What a single peer may do wrong, frame by frame, is package safety's business.
// The limits are counts where they can be; times are only ever bounded from the
// side that a busy machine does not move, or generously.
package faults

// Package attempt decides about the attempts of one RPC: when the next is sent,
// which of them becomes the RPC, and whose end is its end (gRFC A6). It is a
// pure machine: what happened goes in with the time, what to do comes out. It
// owns no clock, no random source and no connection.
//
//	           Begin                     Headers, OK, Full
//	StateNew ─────────> StateRunning ─────────────────────> StateCommitted
//	                     │  ▲     │                               │
//	wait for backoff,    │  │Tick │ nothing left to try,          │ Ended
//	pushback or delay    └──┘     │ fatal code, Cancel            │ Cancel
//	                              └──────────> StateDone <────────┘
//
// One machine serves three ways of trying:
//
//   - without a policy there is one attempt, and only transparent retries: of
//     what never left the client without limit, of what a server refused
//     unseen once;
//   - a retry policy sends the next attempt when one has failed with a
//     retryable code, after a backoff or when the server says;
//   - a hedging policy sends the next attempt while earlier ones are still
//     under way. The first to bring response headers wins, the others are
//     cancelled.
//
// What the machine counts on: every attempt it starts ends with exactly one
// Ended, or is cancelled by it. Events about attempts that it has cancelled are
// a legal race and ignored.
package attempt

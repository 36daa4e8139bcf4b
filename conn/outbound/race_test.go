//go:build race

package outbound

// The race detector makes pools forget at random.
const poolsForget = true

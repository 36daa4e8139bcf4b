//go:build race

package frame

// raced says that the race detector runs, under which sync.Pool drops things
// at random and allocations mean nothing.
const raced = true

//go:build !race

package outbound

const poolsForget = false

//go:build race

package balancer

// Pools drop what they are given at random under the race detector.
const raceEnabled = true

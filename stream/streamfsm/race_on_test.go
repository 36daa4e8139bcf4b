//go:build race

package streamfsm

// raced: under the race detector pools drop what they are given.
const raced = true

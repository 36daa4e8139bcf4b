//go:build !race

package streamfsm

const raced = false

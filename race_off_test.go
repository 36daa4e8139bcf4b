//go:build !race

package callboard_test

const raceDetector = false

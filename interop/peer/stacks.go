package peer

// Default is the stack that the binaries use unless told otherwise.
const Default = "callboard"

// All returns every stack; the tests run all pairings of them.
func All() []Stack { return []Stack{Callboard(), GRPCGo()} }

package connfsm

// Role is the side of the connection a machine plays.
type Role uint8

// Roles.
const (
	Client Role = iota
	Server
)

func (r Role) String() string { return [...]string{"client", "server"}[r] }

// State is where a connection is in its life; see the package comment.
type State uint8

// States.
const (
	StateIdle State = iota
	StateHandshake
	StateReady
	StateDraining
	StateClosing
	StateClosed
)

var stateNames = [...]string{"idle", "handshake", "ready", "draining", "closing", "closed"}

func (s State) String() string { return stateNames[s] }

// over says that nothing of the peer's matters any more.
func (s State) over() bool { return s >= StateClosing }

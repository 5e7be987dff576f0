package localcloud

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// network is a range of loopback addresses, 127.n.0.0/16, that belongs to one
// cloud of this machine: tasks of two clouds listen on the same ports, so they
// must not share addresses. A socket that nobody talks to holds it, and is
// gone with the process however that ends.
type network struct {
	n    byte
	held net.Listener
}

// Networks are chosen from 127.16.0.0/16 to 127.239.0.0/16.
const firstNetwork, networks = 16, 224

// takeNetwork takes a range that no other cloud holds.
func takeNetwork() (*network, error) {
	var errs []error
	from := rand.IntN(networks)
	for i := range networks {
		n := byte(firstNetwork + (from+i)%networks)
		ln, err := net.Listen("tcp", fmt.Sprintf("127.%d.255.254:1024", n))
		if err == nil {
			return &network{n: n, held: ln}, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("local cloud: no range of loopback addresses is free: %w", errors.Join(errs[:1]...))
}

// number is the second number of the addresses; 0, the default, without a range.
func (n *network) number() byte {
	if n == nil {
		return 0
	}
	return n.n
}

func (n *network) release() {
	if n != nil {
		_ = n.held.Close()
	}
}

package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// ports are what the components listen on, always on 127.0.0.1.
type ports struct {
	etcdClient, etcdPeer, apiserver, controllerManager int
}

// pickPorts finds ports that are free now. They lie below the range from which the kernel gives ports to outgoing
// connections: while a component is stopped, a client that keeps dialling its port could otherwise be given that
// very port, be connected to itself, and keep the component from coming back.
func pickPorts() (ports, error) {
	const lowest = 10000
	highest := 32768
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		var from, to int
		if _, err := fmt.Sscan(string(text), &from, &to); err == nil && from > lowest+1000 {
			highest = from
		}
	}
	var found []int
	for range 1000 {
		port := lowest + rand.IntN(highest-lowest)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		// Held until all are found, so that none is found twice.
		defer func() { _ = listener.Close() }()
		if found = append(found, port); len(found) == 4 {
			return ports{found[0], found[1], found[2], found[3]}, nil
		}
	}
	return ports{}, fmt.Errorf("no four free ports between %d and %d on 127.0.0.1", lowest, highest)
}

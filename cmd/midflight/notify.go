package main

import (
	"fmt"
	"net"
	"os"
)

// notify tells systemd how the service is doing, if it asks for that (sd_notify(3)).
func notify(state string) error {
	addr := os.Getenv("NOTIFY_SOCKET") // (an abstract one begins with @, for net as well)
	if addr == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

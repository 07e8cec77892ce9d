package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

func TestZZHold(t *testing.T) {
	f := testmysql.MySQL
	if os.Getenv("FL") == "mariadb" {
		f = testmysql.MariaDB
	}
	s := testmysql.Start(t, f)
	s.Exec(t, "CREATE DATABASE shop")
	m := testmidflight.Start(t, s)
	os.WriteFile("/tmp/hold-"+string(f), []byte(fmt.Sprintf("SRV=%s MF=%s\n", s.Addr, m.Addr)), 0o644)
	for range 3000 {
		if _, err := os.Stat("/tmp/hold-" + string(f)); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"midflight/internal/localserver"
)

func main() {
	f := localserver.Flavor(os.Args[1])
	s, err := localserver.Start(context.Background(), f, os.Args[2:]...)
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Addr)
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	<-c
	s.Remove()
}

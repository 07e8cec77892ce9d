package main

import "context"

// during runs watch beside do, until do has ended.
func during(ctx context.Context, watch func(context.Context), do func() error) error {
	watched, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch(watched)
	}()
	err := do()
	stop()
	<-ended
	return err
}

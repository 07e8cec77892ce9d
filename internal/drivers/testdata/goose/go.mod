module midflight.test/goose

go 1.26

require (
	github.com/go-sql-driver/mysql v1.10.0
	github.com/pressly/goose/v3 v3.26.0
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/mfridman/interpolate v0.0.2 // indirect
	github.com/sethvargo/go-retry v0.3.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/sync v0.16.0 // indirect
)

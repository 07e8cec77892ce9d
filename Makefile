# An exact version, so that a new check doesn't fail an old commit.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# make, not a test run, says how long fuzzing takes: make fuzz FUZZTIME=10m
FUZZTIME = 30s

.PHONY: help build servers galera drivers prometheus chromium release release-check check-kubernetes test test-fast lint demo bench bench-proxy bench-gap exam golden fuzz soak clean

help: ## print this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

build: ## build bin/midflight
	go build -o bin/midflight ./cmd/midflight

servers: ## get a MySQL and a MariaDB server into the cache
	scripts/servers

galera: ## get the library of MariaDB's clusters into the cache
	scripts/galera

drivers: ## get other people's drivers and ORMs into the cache
	scripts/drivers

prometheus: ## get Prometheus and promtool into the cache
	scripts/prometheus

chromium: ## get a Chromium without a window into the cache
	scripts/chromium

# Those that take the longest begin first: most of their time is spent waiting.
LONG = ./internal/oracle ./proxy ./internal/hardcases ./intercept ./internal/drivers ./internal/replication ./binlog ./cmd/midflight ./internal/soak

test: servers galera drivers prometheus chromium build ## run all tests, on real servers, with real drivers and a real browser
	env="$$(scripts/servers env && scripts/galera env && scripts/drivers env && scripts/prometheus env && scripts/chromium env)" && eval "$$env" && \
	export GOTMPDIR="$${GOTMPDIR:-$${TMPDIR:-/tmp}}" TMPDIR="$$(scripts/tmp)" && \
	MIDFLIGHT_BINARY=$(CURDIR)/bin/midflight MIDFLIGHT_REQUIRE_SERVERS=1 go test -vet=off -ldflags='-s -w' -count=1 -p 3 -timeout 25m $(LONG) ./...

test-fast: ## run the tests that take seconds
	go test -short ./...

lint: ## gofmt, vet and staticcheck
	@files="$$(gofmt -l .)"; [ -z "$$files" ] || { echo "not formatted (gofmt -w):"; echo "$$files"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

demo: servers build ## watch an ALTER pass a load: make demo ARGS=-once
	@go build -o bin/midflight-demo ./cmd/midflight-demo
	@env="$$(scripts/servers env)" && eval "$$env" && exec bin/midflight-demo -midflight bin/midflight $(ARGS)

bench: servers build ## measure how fast tables are copied: docs/performance.md
	@go build -o bin/midflight-bench ./cmd/midflight-bench
	@env="$$(scripts/servers env)" && eval "$$env" && exec bin/midflight-bench copy $(ARGS)

bench-proxy: servers build ## measure the proxy beside HAProxy and MySQL Router
	@go build -o bin/midflight-bench ./cmd/midflight-bench
	@env="$$(scripts/servers env && scripts/bench-tools env)" && eval "$$env" && exec bin/midflight-bench $(ARGS)

bench-gap: servers build ## measure what a load feels of schema changes: docs/compared.md
	@go build -o bin/midflight-bench ./cmd/midflight-bench
	@env="$$(scripts/servers env)" && eval "$$env" && exec bin/midflight-bench gap $(ARGS)

golden: servers ## rewrite the golden files; commit only what you understand
	env="$$(scripts/servers env)" && eval "$$env" && \
	go test -count=1 $$(grep -rl --include=*_test.go 'flag.Bool("rewrite"' . | xargs -n1 dirname | sort -u) -rewrite

# With -alone there is no interception: what differs then is the protocol. The
# differences known are in docs/protocol.md. The direct run is made once for both.
exam: servers build ## run other people's test suites directly and through: 40 min
	@go build -o bin/midflight-exam ./cmd/midflight-exam
	@env="$$(scripts/servers env)" && eval "$$env" && failed= && \
	{ bin/midflight-exam go-sql-driver || failed=1; } && \
	{ bin/midflight-exam -mariadb -o bin/exam/mariadb go-sql-driver || failed=1; } && \
	{ bin/midflight-exam -alone -o bin/exam/alone client-test || failed=1; } && \
	{ bin/midflight-exam client-test || failed=1; } && \
	{ bin/midflight-exam -alone -o bin/exam/alone mtr || failed=1; } && \
	{ bin/midflight-exam -direct bin/exam/alone/mtr/direct.tsv mtr || failed=1; } && \
	[ -z "$$failed" ]

# go test fuzzes one target of one package at a time.
fuzz: ## fuzz every target for FUZZTIME
	@grep -ro --include=*_test.go '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file func; do \
		echo "$$(dirname $$file) $${func#func }"; \
		go test -run='^$$' -fuzz="^$${func#func }\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=2s $$(dirname $$file) </dev/null || exit; \
	done

soak: servers build ## draw ALTERs under load and let the server judge: docs/soak.md
	@go build -o bin/midflight-soak ./cmd/midflight-soak
	@env="$$(scripts/servers env)" && eval "$$env" && exec bin/midflight-soak -midflight bin/midflight $(ARGS)

release: ## build bin/release: static programs for Linux, and their checksums
	scripts/release

release-check: ## build the last commit twice, in two folders, and compare the bytes
	scripts/release check

# Not in make test: compiling Kubernetes' types takes longer than most of our tests.
check-kubernetes: ## decode deploy/kubernetes strictly into Kubernetes' own types
	cd deploy/kubernetes/check && go run . ..

clean: ## remove what build has made (the servers' cache stays)
	rm -rf bin

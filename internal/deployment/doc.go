// Package deployment holds tests of what lies in deploy: a real Prometheus scrapes the real
// program and has our alerts, promtool judges the alerts and the dashboard, systemd the units, and every
// flag, variable and metric that a file there names must be one.
package deployment

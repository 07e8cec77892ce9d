// Package testmysql gives tests real servers.
//
// Most tests want Each: it runs them on every flavor, on a server that the
// test process has started once; each test makes a database of its own there.
// A test that restarts its server, or wants other options, uses Start.
package testmysql

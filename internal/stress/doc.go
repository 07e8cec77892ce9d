// Package stress holds tests of the whole program under loads and clients that nobody
// wishes for: many connections, clients that stop reading, that send garbage or never
// log in, packets of 256 MB, and a server that goes away. What must stay bounded is
// read from the program's own process: its memory, goroutines and descriptors.
//
// STRESS=all runs them in full size: 2 000 connections, results of 1 GB, packets of
// 256 MB. See docs/reliability-proxy.md.
package stress

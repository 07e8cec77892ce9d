// Package soak looks for what nobody has thought of: it draws a table, its rows,
// an ALTER, writers and disturbances from one seed, lets Midflight alter the
// table and the server itself a twin that sees the same writes, and compares.
//
// Draw is pure: a seed gives a Case. A Site runs it, Shrink makes the smallest
// case that still fails. docs/soak.md says how to use it.
package soak

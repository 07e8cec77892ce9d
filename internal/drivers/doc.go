// Package drivers has no code: its tests prove with other people's drivers and
// ORMs that nobody can tell Midflight from the server.
//
// A conversation (testdata) is a small program that prints all that it hears.
// It speaks with the server, then with Midflight, and must print the same.
package drivers

// Package hardcases has the cases that schema changes are known to go wrong
// with, each forced instead of hoped for. docs/hardcases.md has the list; that
// the list and the tests agree is itself a test.
package hardcases

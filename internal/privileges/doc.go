// Package privileges tests that Midflight does for a user what the server lets him
// do, and nothing else: attacks of users who may connect through it, and the account
// that it needs itself. The judge is the server: the same statement of the same user,
// sent to it directly.
package privileges

// Package oracle holds the tests that let the server judge Midflight: a table
// altered online, under writers, must be what the server's own ALTER makes of a
// twin that has seen the same writes.
package oracle

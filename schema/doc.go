// Package schema describes tables, and reads the description from a server.
package schema

// Package rowsql has the text of every statement that copies, applies and
// compares rows. It is pure: a plan and keys in, SQL out.
package rowsql

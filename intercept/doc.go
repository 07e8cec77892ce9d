// Package intercept answers the schema changes of a session. It asks the
// session's own server connection what the statement means and whether its user
// may, hands the change to the engine, lets the connection wait visibly, and
// replies as the server would.
package intercept

package pace

// Felt is what statements took, and how many of them failed. The zero value is of none.
type Felt struct {
	Latency Latency
	Failed  uint64 // by no fault of the statement's own
}

// Since is what has come to an earlier state of the same counters.
func (f Felt) Since(earlier Felt) Felt {
	return Felt{f.Latency.Since(earlier.Latency), f.Failed - min(earlier.Failed, f.Failed)}
}

// And is both together.
func (f Felt) And(o Felt) Felt { return Felt{f.Latency.And(o.Latency), f.Failed + o.Failed} }

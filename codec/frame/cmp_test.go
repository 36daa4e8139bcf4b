package frame

import "github.com/google/go-cmp/cmp/cmpopts"

// emptyIsNil lets pooled slices of length 0 equal nil.
var emptyIsNil = cmpopts.EquateEmpty()

// contents leaves out how long a header block was on the wire.
var contents = cmpopts.IgnoreFields(Headers{}, "WireLen")

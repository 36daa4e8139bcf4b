package frame

import "github.com/google/go-cmp/cmp/cmpopts"

// emptyIsNil lets pooled slices of length 0 equal nil.
var emptyIsNil = cmpopts.EquateEmpty()

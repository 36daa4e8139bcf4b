package actors

import (
	"reflect"
	"unsafe"
)

// typeWord is the first word of an interface value: which type a message has,
// in a form that an atomic pointer can publish without allocating. Types live
// as long as the program or are kept alive by the pointer itself.
func typeWord(msg any) unsafe.Pointer {
	return (*[2]unsafe.Pointer)(unsafe.Pointer(&msg))[0]
}

// typeName names the type behind a word made by typeWord.
func typeName(word unsafe.Pointer) string {
	if word == nil {
		return ""
	}
	var msg any
	(*[2]unsafe.Pointer)(unsafe.Pointer(&msg))[0] = word
	return reflect.TypeOf(msg).String()
}

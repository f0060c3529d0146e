/** 64 random bits in 16 hex digits, new at each start of a process: who authored an op. An op's (writer, sequence) is
 * never given to another op. */
export type WriterId = string & { readonly brand: "WriterId" };
